import { float32AtMost } from '../base/float32.ts';

/** native/ops/nms.cc, diou_nms.cc and weighted_nms.cc in TypeScript: each result of a float32 operation is rounded as it is there. */

/** Boxes [M, 4], scores [M] and labels [M] from 0; those of a class follow each other by falling score. */
export interface Candidates {
  boxes: Float32Array;
  scores: Float32Array;
  labels: Int32Array;
}

/** torchvision: up to so many boxes classes are held apart by moving their boxes. */
const COORDINATE_TRICK_MAXIMUM = 1000;
const { fround } = Math;

/** The boxes that no better one of their class overlaps by more than the threshold, by falling score. */
export function nonMaxSuppression(
  { boxes, scores, labels }: Candidates,
  threshold: number,
  byDistance: boolean,
): number[] {
  const apart = labels.length <= COORDINATE_TRICK_MAXIMUM ? heldApart(boxes, labels) : boxes;
  const overlap = byDistance ? distanceIou : iou;
  const limit = float32AtMost(threshold);
  const kept: number[] = [];
  for (let begin = 0; begin < labels.length; ) {
    let end = begin;
    while (end < labels.length && labels[end] === labels[begin]) end++;
    const suppressed = new Uint8Array(end - begin);
    for (let i = begin; i < end; i++) {
      if (suppressed[i - begin]) continue;
      kept.push(i);
      for (let j = i + 1; j < end; j++) if (overlap(apart, i, j) > limit) suppressed[j - begin] = 1;
    }
    begin = end;
  }
  return kept.sort((a, b) => scores[b]! - scores[a]!);
}

function heldApart(boxes: Float32Array, labels: Int32Array): Float32Array {
  const span = fround(boxes.reduce((largest, side) => Math.max(largest, side), 0) + 1);
  return boxes.map((side, i) => side + fround((labels[i >> 2]! + 1) * span));
}

/** Each kept box becomes the average, by score, of itself and those that it suppressed. */
export function weightBoxes({ boxes, scores, labels }: Candidates, kept: readonly number[], threshold: number): void {
  const taken = new Uint8Array(scores.length);
  for (const index of kept) taken[index] = 1;
  for (const index of kept) {
    const members = [index];
    for (let i = 0; i < scores.length; i++) {
      if (taken[i] || labels[i] !== labels[index] || !(iou(boxes, index, i) > threshold)) continue;
      members.push(i);
      taken[i] = 1;
    }
    const weight = members.reduce((sum, i) => sum + scores[i]!, 0);
    if (weight <= 0) continue;
    const corners = [0, 1, 2, 3].map(
      (c) => members.reduce((sum, i) => sum + scores[i]! * boxes[4 * i + c]!, 0) / weight,
    );
    boxes.set(corners, 4 * index);
  }
}

function iou(boxes: Float32Array, a: number, b: number): number {
  const width = Math.max(
    0,
    fround(Math.min(side(boxes, a, 2), side(boxes, b, 2)) - Math.max(side(boxes, a, 0), side(boxes, b, 0))),
  );
  const height = Math.max(
    0,
    fround(Math.min(side(boxes, a, 3), side(boxes, b, 3)) - Math.max(side(boxes, a, 1), side(boxes, b, 1))),
  );
  const intersection = fround(width * height);
  return fround(intersection / fround(fround(area(boxes, a) + area(boxes, b)) - intersection));
}

/** The IoU less the squared distance of the centres over that of the enclosing box's corners. */
function distanceIou(boxes: Float32Array, a: number, b: number): number {
  const across = fround(
    Math.max(side(boxes, a, 2), side(boxes, b, 2)) - Math.min(side(boxes, a, 0), side(boxes, b, 0)),
  );
  const down = fround(Math.max(side(boxes, a, 3), side(boxes, b, 3)) - Math.min(side(boxes, a, 1), side(boxes, b, 1)));
  const x = betweenCenters(boxes, a, b, 0);
  const y = betweenCenters(boxes, a, b, 1);
  const apart = fround(squares(x, y) / squares(across, down));
  return fround(iou(boxes, a, b) - apart);
}

function betweenCenters(boxes: Float32Array, a: number, b: number, axis: 0 | 1): number {
  const sum = fround(side(boxes, a, axis) + side(boxes, a, axis + 2));
  return fround(fround(sum - side(boxes, b, axis)) - side(boxes, b, axis + 2)) / 2;
}

function squares(x: number, y: number): number {
  return fround(fround(x * x) + fround(y * y));
}

function area(boxes: Float32Array, i: number): number {
  return fround(fround(side(boxes, i, 2) - side(boxes, i, 0)) * fround(side(boxes, i, 3) - side(boxes, i, 1)));
}

function side(boxes: Float32Array, i: number, corner: number): number {
  return boxes[4 * i + corner]!;
}
