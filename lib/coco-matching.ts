import { type ClassTable, groupByImage, type ImageGroups } from './class-table.ts';

/** Bounds in square pixels, both inclusive. */
export type AreaRange = readonly [min: number, max: number];

/** What becomes of a detection: a false positive, a true positive, or neither. */
export const MISS = 0;
export const HIT = 1;
const IGNORED = 2;

export interface MatchSettings {
  iouThresholds: readonly number[];
  areaRanges: readonly AreaRange[];
  /** Per image and class; detections of a lower rank are ignored. */
  maxDetections: number;
  /** Boxes are held, and their widths and heights computed, in float32, as torch tensors are. */
  float32: boolean;
}

/** The detections of one class matched to its objects, at every area range and IoU threshold. */
export interface ClassMatches {
  /** `[areas][thresholds][detections]`: `MISS`, `HIT` or `IGNORED`, in the order of the class table. */
  outcomes: Uint8Array[][];
  /** `[areas]`: the objects to be found, crowds and ignored ones not counted. */
  positives: number[];
  /** `[detections]`: rank by score among those of the same image, 0 the best. */
  ranks: Uint32Array;
}

/** One class in one image: positions in the class table, and the IoU `[detections, objects]`. */
interface ImageMembers {
  detections: Uint32Array;
  objects: Uint32Array;
  ious: Float64Array;
}

/** `COCOeval.evaluateImg` of pycocotools 2.0.11 for boxes, over all images of one class. */
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

  for (let image = 0; image < imageCount; image++) {
    const members = {
      detections: groups.positions.subarray(groups.starts[image], groups.starts[image + 1]).subarray(0, maxDetections),
      objects: objectGroups.positions.subarray(objectGroups.starts[image], objectGroups.starts[image + 1]),
    };
    if (members.detections.length === 0 || members.objects.length === 0) continue;
    const ious = computeIous(members.detections, detectionBoxes, members.objects, objectBoxes, objects.crowd);
    for (let a = 0; a < areaRanges.length; a++) {
      matchImage({ ...members, ious }, objects.crowd, ignored[a]!, iouThresholds, outcomes[a]!);
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

/** `[n]`: the outcome of each detection where nothing matches it. */
function unmatchedOutcomes(xywh: Float64Array, ranks: Uint32Array, [min, max]: AreaRange, maxDetections: number) {
  const outcomes = new Uint8Array(ranks.length);
  for (let i = 0; i < ranks.length; i++) {
    const area = xywh[4 * i + 2]! * xywh[4 * i + 3]!;
    outcomes[i] = ranks[i]! >= maxDetections || area < min || area > max ? IGNORED : MISS;
  }
  return outcomes;
}

/**
 * Each detection, by descending score, takes the free object of the largest IoU, among equals the later one; an ignored
 * object only where no other will do; a crowd is never used up.
 */
function matchImage(
  { detections, objects, ious }: ImageMembers,
  crowd: Uint8Array,
  ignored: Uint8Array,
  iouThresholds: readonly number[],
  outcomes: Uint8Array[],
): void {
  const indices = Array.from(objects.keys());
  const wanted = indices.filter((i) => !ignored[objects[i]!]);
  const order = [...wanted, ...indices.filter((i) => ignored[objects[i]!])];
  const taken = new Uint8Array(objects.length);
  for (const [t, threshold] of iouThresholds.entries()) {
    const outcome = outcomes[t]!;
    taken.fill(0);
    for (let d = 0; d < detections.length; d++) {
      let best = Math.min(threshold, 1 - 1e-10);
      let match = -1;
      for (let k = 0; k < order.length; k++) {
        if (k === wanted.length && match >= 0) break;
        const object = order[k]!;
        const iou = ious[d * order.length + object]!;
        if (iou >= best && !taken[object]) {
          best = iou;
          match = object;
        }
      }
      if (match < 0) continue;
      const position = objects[match]!;
      if (!crowd[position]) taken[match] = 1;
      outcome[detections[d]!] = ignored[position] ? IGNORED : HIT;
    }
  }
}

/** `bbIou` of pycocotools' maskApi.c; for a crowd the intersection is divided by the area of the detection alone. */
function computeIous(
  detections: Uint32Array,
  detectionBoxes: Float64Array,
  objects: Uint32Array,
  objectBoxes: Float64Array,
  crowd: Uint8Array,
): Float64Array {
  const ious = new Float64Array(detections.length * objects.length);
  let i = 0;
  for (const detection of detections) {
    const d = 4 * detection;
    const detectionArea = detectionBoxes[d + 2]! * detectionBoxes[d + 3]!;
    for (const object of objects) {
      const g = 4 * object;
      const width = overlap(detectionBoxes[d]!, detectionBoxes[d + 2]!, objectBoxes[g]!, objectBoxes[g + 2]!);
      const height = overlap(detectionBoxes[d + 1]!, detectionBoxes[d + 3]!, objectBoxes[g + 1]!, objectBoxes[g + 3]!);
      if (width > 0 && height > 0) {
        const intersection = width * height;
        const union = detectionArea + objectBoxes[g + 2]! * objectBoxes[g + 3]! - intersection;
        ious[i] = intersection / (crowd[object] ? detectionArea : union);
      }
      i++;
    }
  }
  return ious;
}

function overlap(start: number, length: number, otherStart: number, otherLength: number): number {
  return Math.min(start + length, otherStart + otherLength) - Math.max(start, otherStart);
}

/** pycocotools works on x, y, width, height; the right edge is x + width, which may differ from xmax in the last bit. */
function toXywh(xyxy: Float64Array, float32: boolean): Float64Array {
  const round = float32 ? Math.fround : (value: number) => value;
  const xywh = new Float64Array(xyxy.length);
  for (let i = 0; i < xyxy.length; i++) {
    xywh[i] = i % 4 < 2 ? round(xyxy[i]!) : round(round(xyxy[i]!) - round(xyxy[i - 2]!));
  }
  return xywh;
}
