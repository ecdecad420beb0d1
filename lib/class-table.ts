import { wrongArgument } from './check.ts';
import { checkImage, type EvaluatedImage } from './evaluated-image.ts';

/** One class of an evaluation: its detections and its objects of all images, side by side. Boxes are xyxy, `[4n]`. */
export interface ClassTable {
  labelIndex: number;
  /** From the highest score to the lowest, equal scores in the order given; `images` are positions in the list of images. */
  detections: { images: Uint32Array; boxes: Float64Array };
  /** In the order given. */
  objects: {
    images: Uint32Array;
    boxes: Float64Array;
    areas: Float64Array;
    crowd: Uint8Array;
    ignore: Uint8Array;
    difficult: Uint8Array;
  };
}

/** Where the members of one class lie. */
interface ClassMembers {
  labelIndex: number;
  detections: { images: number[]; rows: number[] };
  objects: { images: number[]; rows: number[] };
}

/** The position of each member's image, and its row within that image. */
interface Members {
  images: ArrayLike<number>;
  rows: ArrayLike<number>;
}

/** Rows handled before a computation offers to pause: about a millisecond of work. */
const PAUSE = 1 << 15;

/** The members of every class that has a detection or an object, by ascending label. Throws as `checkImage` does. */
export function* collectClasses(images: readonly EvaluatedImage[]): Generator<void, ClassMembers[]> {
  if (!Array.isArray(images)) throw new TypeError(wrongArgument('images', 'array', images));
  const classes = new Map<number, ClassMembers>();
  const collect = (labels: Int32Array, image: number, kind: 'detections' | 'objects') => {
    for (let row = 0; row < labels.length; row++) {
      const labelIndex = labels[row]!;
      let members = classes.get(labelIndex);
      if (!members) {
        members = { labelIndex, detections: { images: [], rows: [] }, objects: { images: [], rows: [] } };
        classes.set(labelIndex, members);
      }
      members[kind].images.push(image);
      members[kind].rows.push(row);
    }
  };
  for (const [index, image] of images.entries()) {
    checkImage(image, index);
    collect(image.detections.labels, index, 'detections');
    collect(image.groundTruth.labels, index, 'objects');
    yield;
  }
  return [...classes.values()].sort((a, b) => a.labelIndex - b.labelIndex);
}

export function* classTable(images: readonly EvaluatedImage[], members: ClassMembers): Generator<void, ClassTable> {
  const { labelIndex, detections, objects } = members;
  const scores = yield* gather(detections, (image, row) => images[image]!.detections.scores[row]!);
  const order = yield* descendingOrder(scores);
  const sorted = { images: permute(detections.images, order), rows: permute(detections.rows, order) };
  const objectOf = (image: number) => images[image]!.groundTruth;
  return {
    labelIndex,
    detections: {
      images: sorted.images,
      boxes: yield* gatherBoxes(sorted, (image) => images[image]!.detections.boxes),
    },
    objects: {
      images: Uint32Array.from(objects.images),
      boxes: yield* gatherBoxes(objects, (image) => objectOf(image).boxes),
      areas: yield* gather(objects, (image, row) => objectArea(objectOf(image), row)),
      crowd: Uint8Array.from(yield* gather(objects, (image, row) => objectOf(image).crowd?.[row] ?? 0)),
      ignore: Uint8Array.from(yield* gather(objects, (image, row) => objectOf(image).ignore?.[row] ?? 0)),
      difficult: Uint8Array.from(yield* gather(objects, (image, row) => objectOf(image).difficult?.[row] ?? 0)),
    },
  };
}

function objectArea({ areas, boxes }: EvaluatedImage['groundTruth'], row: number): number {
  if (areas) return areas[row]!;
  return (boxes[4 * row + 2]! - boxes[4 * row]!) * (boxes[4 * row + 3]! - boxes[4 * row + 1]!);
}

function* gather(
  { images, rows }: Members,
  value: (image: number, row: number) => number,
): Generator<void, Float64Array> {
  const gathered = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    if (i % PAUSE === 0) yield;
    gathered[i] = value(images[i]!, rows[i]!);
  }
  return gathered;
}

function* gatherBoxes(
  { images, rows }: Members,
  boxesOf: (image: number) => ArrayLike<number>,
): Generator<void, Float64Array> {
  const gathered = new Float64Array(4 * rows.length);
  for (let i = 0; i < rows.length; i++) {
    if (i % PAUSE === 0) yield;
    const boxes = boxesOf(images[i]!);
    for (let c = 0; c < 4; c++) gathered[4 * i + c] = boxes[4 * rows[i]! + c]!;
  }
  return gathered;
}

function permute(values: readonly number[], order: Uint32Array): Uint32Array {
  return order.map((position) => values[position]!);
}

/** Positions from the highest score to the lowest, equal scores in the order given: a merge sort, so that it can pause. */
function* descendingOrder(scores: Float64Array): Generator<void, Uint32Array> {
  const count = scores.length;
  let from = new Uint32Array(count).map((_, i) => i);
  let to = new Uint32Array(count);
  for (let run = 1; run < count; run *= 2) {
    let left = 0;
    let right = 0;
    for (let i = 0; i < count; i++) {
      if (i % PAUSE === 0) yield;
      const start = i - (i % (2 * run));
      const middle = Math.min(start + run, count);
      const end = Math.min(start + 2 * run, count);
      if (i === start) [left, right] = [start, middle];
      const takeLeft = right >= end || (left < middle && scores[from[left]!]! >= scores[from[right]!]!);
      to[i] = takeLeft ? from[left++]! : from[right++]!;
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Positions grouped by image in their own order: those of image i are `positions[starts[i]]` up to `positions[starts[i + 1]]`. */
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
