import type { EvaluatedImage } from '../../lib/evaluation/evaluated-image.ts';
import { mulberry32 } from '../support/evaluated-images.ts';

export interface EvaluationSize {
  images: number;
  /** Per image. */
  detections: number;
  /** Without the background: labels are 1 to `classes`. */
  classes: number;
}

/** Pascal VOC 2007's test set, with as many detections as the article's settings let through. */
export const vocEvaluation: EvaluationSize = { images: 4952, detections: 200, classes: 20 };

const TRUTH_COLUMNS = 6;
const DETECTION_COLUMNS = 7;

/**
 * A seeded evaluation as rows of float64, which both sides read: truth `[image, label, x1, y1, x2, y2]`, detections
 * `[image, label, score, x1, y1, x2, y2]`. A sixth of the detections lie near an object; the numbers are float32 ones, as a model's.
 */
export function makeEvaluation({ images, detections, classes }: EvaluationSize): {
  truth: Float64Array;
  detections: Float64Array;
} {
  const next = mulberry32(1);
  const integer = (count: number) => Math.floor(next() * count);
  const box = (x: number, y: number, width: number, height: number) => [x, y, x + width, y + height].map(Math.fround);
  const [truth, found]: [number[], number[]] = [[], []];
  for (let image = 0; image < images; image++) {
    const objects = Array.from({ length: 1 + integer(5) }, () => {
      const label = 1 + integer(classes);
      const [x, y, size] = [next() * 400, next() * 280, 16 * 2 ** (4 * next())];
      return { label, x, y, width: size * (0.6 + next()), height: size * (0.6 + next()) };
    });
    for (const { label, x, y, width, height } of objects) truth.push(image, label, ...box(x, y, width, height));
    for (let i = 0; i < detections; i++) {
      const near = i % 6 === 0 ? objects[integer(objects.length)]! : undefined;
      const shift = () => 0.3 * (next() - 0.5);
      const place = near
        ? box(near.x + shift() * near.width, near.y + shift() * near.height, near.width, near.height)
        : box(next() * 400, next() * 280, 16 + next() * 200, 16 + next() * 200);
      found.push(image, near?.label ?? 1 + integer(classes), Math.fround(next() ** (near ? 1 : 3)), ...place);
    }
  }
  return { truth: Float64Array.from(truth), detections: Float64Array.from(found) };
}

/** The rows as `EvaluatedImage`s, float32 as a model's detections are. */
export function readEvaluation(truth: Uint8Array, detections: Uint8Array, images: number): EvaluatedImage[] {
  const objects = groupRows(new Float64Array(Uint8Array.from(truth).buffer), TRUTH_COLUMNS, images);
  const found = groupRows(new Float64Array(Uint8Array.from(detections).buffer), DETECTION_COLUMNS, images);
  return objects.map((rows, image) => ({
    detections: {
      labels: Int32Array.from(found[image]!, (row) => row[1]!),
      scores: Float32Array.from(found[image]!, (row) => row[2]!),
      boxes: Float32Array.from(found[image]!.flatMap((row) => [...row.subarray(3)])),
    },
    groundTruth: {
      labels: Int32Array.from(rows, (row) => row[1]!),
      boxes: Float64Array.from(rows.flatMap((row) => [...row.subarray(2)])),
    },
  }));
}

function groupRows(values: Float64Array, columns: number, images: number): Float64Array[][] {
  const groups: Float64Array[][] = Array.from({ length: images }, () => []);
  for (let at = 0; at < values.length; at += columns) groups[values[at]!]!.push(values.subarray(at, at + columns));
  return groups;
}
