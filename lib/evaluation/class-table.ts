import { checkSequence } from '../base/check.ts';
import { checkImage, type EvaluatedImage } from './evaluated-image.ts';

/** All detections and objects of one class. Boxes are xyxy, `[4n]`. */
export interface ClassTable {
  labelIndex: number;
  /** The detections, highest score first; equal scores keep their order. `images` are positions in the list of images. */
  detections: { images: Uint32Array; boxes: Float64Array };
  /** The objects in the order of the images. */
  objects: {
    images: Uint32Array;
    boxes: Float64Array;
    areas: Float64Array;
    crowd: Uint8Array;
    ignore: Uint8Array;
    difficult: Uint8Array;
  };
}

/** The number of rows between two pauses, about a millisecond of work. */
const PAUSE = 1 << 15;

/** A class table while it is filled. The counts say how many members are in their places. */
interface OpenTable extends ClassTable {
  scores: Float64Array;
  filled: { detections: number; objects: number };
}

/** Builds a table for every class with a detection or an object, by ascending label. Throws the errors of `checkImage`. */
export function* classTables(images: readonly EvaluatedImage[]): Generator<void, ClassTable[]> {
  const counts = yield* countMembers(images);
  const tables = new Map([...counts].map(([label, count]) => [label, openTable(label, count)]));
  let rows = 0;
  for (const [index, { detections, groundTruth }] of images.entries()) {
    for (let row = 0; row < detections.labels.length; row++) {
      addDetection(tables.get(detections.labels[row]!)!, index, detections, row);
      if (++rows % PAUSE === 0) yield;
    }
    for (let row = 0; row < groundTruth.labels.length; row++) {
      addObject(tables.get(groundTruth.labels[row]!)!, index, groundTruth, row);
      if (++rows % PAUSE === 0) yield;
    }
  }
  const sorted = [...tables.values()].sort((a, b) => a.labelIndex - b.labelIndex);
  for (const table of sorted) table.detections = yield* sortDetections(table);
  return sorted.map(({ labelIndex, detections, objects }) => ({ labelIndex, detections, objects }));
}

interface MemberCount {
  detections: number;
  objects: number;
}

function* countMembers(images: readonly EvaluatedImage[]): Generator<void, Map<number, MemberCount>> {
  checkSequence('images', images);
  const counts = new Map<number, MemberCount>();
  const count = (labels: Int32Array, kind: keyof MemberCount) => {
    for (const label of labels) {
      const found = counts.get(label) ?? { detections: 0, objects: 0 };
      found[kind]++;
      counts.set(label, found);
    }
  };
  for (const [index, image] of images.entries()) {
    checkImage(image, index);
    count(image.detections.labels, 'detections');
    count(image.groundTruth.labels, 'objects');
    yield;
  }
  return counts;
}

function openTable(labelIndex: number, { detections, objects }: MemberCount): OpenTable {
  return {
    labelIndex,
    detections: { images: new Uint32Array(detections), boxes: new Float64Array(4 * detections) },
    scores: new Float64Array(detections),
    objects: {
      images: new Uint32Array(objects),
      boxes: new Float64Array(4 * objects),
      areas: new Float64Array(objects),
      crowd: new Uint8Array(objects),
      ignore: new Uint8Array(objects),
      difficult: new Uint8Array(objects),
    },
    filled: { detections: 0, objects: 0 },
  };
}

function addDetection(table: OpenTable, image: number, from: EvaluatedImage['detections'], row: number): void {
  const at = table.filled.detections++;
  table.detections.images[at] = image;
  table.scores[at] = from.scores[row]!;
  copyBox(table.detections.boxes, at, from.boxes, row);
}

function addObject({ objects, filled }: OpenTable, image: number, from: EvaluatedImage['groundTruth'], row: number) {
  const at = filled.objects++;
  objects.images[at] = image;
  copyBox(objects.boxes, at, from.boxes, row);
  objects.areas[at] = objectArea(from, row);
  objects.crowd[at] = from.crowd?.[row] ?? 0;
  objects.ignore[at] = from.ignore?.[row] ?? 0;
  objects.difficult[at] = from.difficult?.[row] ?? 0;
}

function copyBox(to: Float64Array, at: number, from: Float64Array | Float32Array, row: number): void {
  for (let c = 0; c < 4; c++) to[4 * at + c] = from[4 * row + c]!;
}

function objectArea({ areas, boxes }: EvaluatedImage['groundTruth'], row: number): number {
  if (areas) return areas[row]!;
  return (boxes[4 * row + 2]! - boxes[4 * row]!) * (boxes[4 * row + 3]! - boxes[4 * row + 1]!);
}

function* sortDetections({ scores, detections }: OpenTable): Generator<void, ClassTable['detections']> {
  const order = yield* descendingOrder(scores);
  const boxes = new Float64Array(4 * order.length);
  for (let i = 0; i < order.length; i++) {
    if (i % PAUSE === 0) yield;
    copyBox(boxes, i, detections.boxes, order[i]!);
  }
  return { images: order.map((position) => detections.images[position]!), boxes };
}

/**
 * Positions by descending score; equal scores keep their order. It is a radix sort of the scores' bits, byte by byte from the lowest. A
 * byte that all scores share, such as the lowest of float32 scores, is skipped.
 */
function* descendingOrder(scores: Float64Array): Generator<void, Uint32Array> {
  const count = scores.length;
  const keys = fallingKeys(scores);
  let from = new Uint32Array(count).map((_, i) => i);
  let to = new Uint32Array(count);
  for (let byte = 0; byte < 8; byte++) {
    const next = new Uint32Array(256);
    for (let i = 0; i < count; i++) next[keys[8 * i + byte]!]!++;
    yield;
    if (next.includes(count)) continue;
    let end = 0;
    for (let value = 0; value < 256; value++) [next[value], end] = [end, end + next[value]!];
    for (let i = 0; i < count; i++) {
      if (i % PAUSE === 0) yield;
      const position = from[i]!;
      to[next[keys[8 * position + byte]!]!++] = position;
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Sort keys of eight bytes per score, lowest byte first. As unsigned numbers they grow when the score falls. 0 and -0 are equal. */
function fallingKeys(scores: Float64Array): Uint8Array {
  const words = new Uint32Array(scores.map((score) => score + 0).buffer);
  for (let high = 1; high < words.length; high += 2) {
    const isNegative = words[high]! >= 2 ** 31;
    if (isNegative) continue;
    words[high] = ~words[high]! & 0x7fffffff;
    words[high - 1] = ~words[high - 1]!;
  }
  return new Uint8Array(words.buffer);
}

/** Positions grouped by image, in their own order. Image i has `positions[starts[i]]` up to `positions[starts[i + 1]]`. */
export interface ImageGroups {
  positions: Uint32Array;
  starts: Uint32Array;
}

export function groupByImage(images: Uint32Array, imageCount: number): ImageGroups {
  const starts = new Uint32Array(imageCount + 1);
  for (const image of images) starts[image + 1]!++;
  for (let i = 0; i < imageCount; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const positions = new Uint32Array(images.length);
  for (let position = 0; position < images.length; position++) {
    positions[next[images[position]!]!++] = position;
  }
  return { positions, starts };
}
