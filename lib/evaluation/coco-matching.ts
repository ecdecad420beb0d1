import { type ClassTable, groupByImage, type ImageGroups } from './class-table.ts';

/** A range of areas in square pixels, both bounds included. */
export type AreaRange = readonly [min: number, max: number];

/** The outcome of a detection: false positive, true positive, or neither. */
export const MISS = 0;
export const HIT = 1;
const IGNORED = 2;

export interface MatchSettings {
  iouThresholds: readonly number[];
  areaRanges: readonly AreaRange[];
  /** The limit per image and class. Detections of a lower rank are ignored. */
  maxDetections: number;
  /** True to compute boxes, widths and heights in float32, like torch tensors. */
  float32: boolean;
}

/** The detections of one class matched to its objects, for every range of areas and IoU threshold. */
export interface ClassMatches {
  /** `[areas][thresholds][detections]`: `MISS`, `HIT` or `IGNORED`, in the order of the class table. */
  outcomes: Uint8Array[][];
  /** `[areas]`: the number of objects to find, without crowds and ignored objects. */
  positives: number[];
  /** `[detections]`: the rank by score within the image, 0 for the best. */
  ranks: Uint32Array;
}

/** One class in one image: its rows in the positions, and the IoU `[detections, objects]` between them. */
interface ImageMembers {
  detections: Uint32Array;
  firstDetection: number;
  lastDetection: number;
  objects: Uint32Array;
  firstObject: number;
  lastObject: number;
  /** A buffer for the largest image, reused for each image, because there are many images and most are small. */
  ious: Float64Array;
}

/** Matches all images of one class as `COCOeval.evaluateImg` of pycocotools 2.0.11 does for boxes. */
export function* matchClass(
  { detections, objects }: ClassTable,
  imageCount: number,
  { iouThresholds, areaRanges, maxDetections, float32 }: MatchSettings,
): Generator<void, ClassMatches> {
  const detectionBoxes = toXywh(detections.boxes, float32);
  yield;
  const objectBoxes = toXywh(objects.boxes, float32);
  yield;
  const groups = groupByImage(detections.images, imageCount);
  const objectGroups = groupByImage(objects.images, imageCount);
  const ranks = rankInImage(detections.images, groups);
  yield;
  const ignored: Uint8Array[] = [];
  const outcomes: Uint8Array[][] = [];
  for (const range of areaRanges) {
    ignored.push(ignoredObjects(objects, range));
    const unmatched = unmatchedOutcomes(detectionBoxes, ranks, range, maxDetections);
    outcomes.push(iouThresholds.map(() => unmatched.slice()));
    yield;
  }

  const members = membersFor(groups, objectGroups, maxDetections);
  for (let image = 0; image < imageCount; image++) {
    members.firstDetection = groups.starts[image]!;
    members.lastDetection = Math.min(groups.starts[image + 1]!, members.firstDetection + maxDetections);
    members.firstObject = objectGroups.starts[image]!;
    members.lastObject = objectGroups.starts[image + 1]!;
    if (members.firstDetection === members.lastDetection || members.firstObject === members.lastObject) continue;
    computeIous(members, detectionBoxes, objectBoxes, objects.crowd);
    for (let a = 0; a < areaRanges.length; a++) {
      matchImage(members, objects.crowd, ignored[a]!, iouThresholds, outcomes[a]!);
      yield;
    }
  }
  return { outcomes, positives: ignored.map((flags) => flags.filter((flag) => flag === 0).length), ranks };
}

function rankInImage(images: Uint32Array, { positions, starts }: ImageGroups): Uint32Array {
  const ranks = new Uint32Array(images.length);
  for (let i = 0; i < positions.length; i++) ranks[positions[i]!] = i - starts[images[positions[i]!]!]!;
  return ranks;
}

function ignoredObjects({ areas, crowd, ignore }: ClassTable['objects'], [min, max]: AreaRange): Uint8Array {
  return crowd.map((flag, i) => +(flag || ignore[i] || areas[i]! < min || areas[i]! > max));
}

/** `[n]`: the outcome of each detection if no object matches it. */
function unmatchedOutcomes(xywh: Float64Array, ranks: Uint32Array, [min, max]: AreaRange, maxDetections: number) {
  const outcomes = new Uint8Array(ranks.length);
  for (let i = 0; i < ranks.length; i++) {
    const area = xywh[4 * i + 2]! * xywh[4 * i + 3]!;
    outcomes[i] = ranks[i]! >= maxDetections || area < min || area > max ? IGNORED : MISS;
  }
  return outcomes;
}

/** Allocates a buffer for the IoUs of any image. */
function membersFor(detections: ImageGroups, objects: ImageGroups, maxDetections: number): ImageMembers {
  let most = 0;
  for (let image = 0; image + 1 < objects.starts.length; image++) {
    const count = Math.min(detections.starts[image + 1]! - detections.starts[image]!, maxDetections);
    most = Math.max(most, count * (objects.starts[image + 1]! - objects.starts[image]!));
  }
  return {
    detections: detections.positions,
    firstDetection: 0,
    lastDetection: 0,
    objects: objects.positions,
    firstObject: 0,
    lastObject: 0,
    ious: new Float64Array(most),
  };
}

/**
 * Matches the detections by descending score. Each takes the free object with the largest IoU, the later one among equals. It takes an
 * ignored object only if no other fits. A crowd stays free.
 */
function matchImage(
  { detections, firstDetection, lastDetection, objects, firstObject, lastObject, ious }: ImageMembers,
  crowd: Uint8Array,
  ignored: Uint8Array,
  iouThresholds: readonly number[],
  outcomes: Uint8Array[],
): void {
  const order: number[] = [];
  for (let o = firstObject; o < lastObject; o++) if (!ignored[objects[o]!]) order.push(o - firstObject);
  const wanted = order.length;
  for (let o = firstObject; o < lastObject; o++) if (ignored[objects[o]!]) order.push(o - firstObject);
  const taken = order.map(() => -1); // index of the last threshold at which the object was taken
  for (let t = 0; t < iouThresholds.length; t++) {
    const threshold = Math.min(iouThresholds[t]!, 1 - 1e-10);
    const outcome = outcomes[t]!;
    for (let d = firstDetection; d < lastDetection; d++) {
      const row = (d - firstDetection) * order.length;
      let best = threshold;
      let match = -1;
      for (let k = 0; k < order.length; k++) {
        if (k === wanted && match >= 0) break;
        const object = order[k]!;
        const iou = ious[row + object]!;
        if (iou >= best && taken[object] !== t) {
          best = iou;
          match = object;
        }
      }
      if (match < 0) continue;
      const position = objects[firstObject + match]!;
      if (!crowd[position]) taken[match] = t;
      outcome[detections[d]!] = ignored[position] ? IGNORED : HIT;
    }
  }
}

/** Computes IoUs like `bbIou` of pycocotools' maskApi.c. For a crowd it divides the intersection by the area of the detection alone. */
function computeIous(
  { detections, firstDetection, lastDetection, objects, firstObject, lastObject, ious }: ImageMembers,
  detectionBoxes: Float64Array,
  objectBoxes: Float64Array,
  crowd: Uint8Array,
): void {
  let i = 0;
  for (let row = firstDetection; row < lastDetection; row++) {
    const d = 4 * detections[row]!;
    const detectionArea = detectionBoxes[d + 2]! * detectionBoxes[d + 3]!;
    for (let column = firstObject; column < lastObject; column++, i++) {
      const object = objects[column]!;
      const g = 4 * object;
      const width = overlap(detectionBoxes[d]!, detectionBoxes[d + 2]!, objectBoxes[g]!, objectBoxes[g + 2]!);
      const height = overlap(detectionBoxes[d + 1]!, detectionBoxes[d + 3]!, objectBoxes[g + 1]!, objectBoxes[g + 3]!);
      ious[i] = 0;
      if (width <= 0 || height <= 0) continue;
      const intersection = width * height;
      const union = detectionArea + objectBoxes[g + 2]! * objectBoxes[g + 3]! - intersection;
      ious[i] = intersection / (crowd[object] ? detectionArea : union);
    }
  }
}

function overlap(start: number, length: number, otherStart: number, otherLength: number): number {
  return Math.min(start + length, otherStart + otherLength) - Math.max(start, otherStart);
}

/** Converts to x, y, width, height, as pycocotools does. Its right edge is x + width, which may differ from xmax in the last bit. */
function toXywh(xyxy: Float64Array, float32: boolean): Float64Array {
  const round = float32 ? Math.fround : (value: number) => value;
  const xywh = new Float64Array(xyxy.length);
  for (let i = 0; i < xyxy.length; i++) {
    xywh[i] = i % 4 < 2 ? round(xyxy[i]!) : round(round(xyxy[i]!) - round(xyxy[i - 2]!));
  }
  return xywh;
}
