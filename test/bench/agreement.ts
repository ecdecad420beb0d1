/** Detections of one image: boxes xyxy one after another, in any order. */
export interface FoundObjects {
  boxes: readonly number[];
  scores: readonly number[];
  labels: readonly number[];
}

/** How far apart two detections may be and still be the same. */
export interface Tolerance {
  iou: number;
  score: number;
}

/** Two ways of the same float32 arithmetic. */
export const sameInFloat32: Tolerance = { iou: 0.99, score: 1e-3 };
/** float32 and bf16, which has three digits. */
export const sameInBf16: Tolerance = { iou: 0.85, score: 0.05 };

/** The share of `expected`'s detections, 0 to 1, that `actual` has too; 0 where one has twice as many as the other. */
export function agreement(
  actual: readonly FoundObjects[],
  expected: readonly FoundObjects[],
  tolerance: Tolerance,
): number {
  const count = (all: readonly FoundObjects[]) => all.reduce((sum, { scores }) => sum + scores.length, 0);
  const [found, wanted] = [count(actual), count(expected)];
  if (wanted === 0) return found === 0 ? 1 : 0;
  if (found > 2 * wanted || actual.length !== expected.length) return 0;
  return expected.reduce((sum, image, i) => sum + countShared(actual[i]!, image, tolerance), 0) / wanted;
}

function countShared(actual: FoundObjects, expected: FoundObjects, tolerance: Tolerance): number {
  const used = new Set<number>();
  let shared = 0;
  for (let i = 0; i < expected.scores.length; i++) {
    const match = actual.scores.findIndex(
      (score, j) =>
        !used.has(j) &&
        actual.labels[j] === expected.labels[i] &&
        Math.abs(score - expected.scores[i]!) <= tolerance.score &&
        boxIou(actual.boxes.slice(4 * j, 4 * j + 4), expected.boxes.slice(4 * i, 4 * i + 4)) >= tolerance.iou,
    );
    if (match < 0) continue;
    used.add(match);
    shared++;
  }
  return shared;
}

function boxIou(a: readonly number[], b: readonly number[]): number {
  const width = Math.max(0, Math.min(a[2]!, b[2]!) - Math.max(a[0]!, b[0]!));
  const height = Math.max(0, Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!));
  const area = (box: readonly number[]) => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  return (width * height) / (area(a) + area(b) - width * height);
}
