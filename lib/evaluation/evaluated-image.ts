import { wrongArgument } from '../base/check.ts';

type Floats = Float64Array | Float32Array;

/**
 * The detections and the ground truth of one image, as the metrics take them. Boxes are `[xmin, ymin, xmax, ymax]` in pixels, one after
 * another. Label 0 is the background; class labels begin at 1.
 */
export interface EvaluatedImage {
  /** The `n` detections of the image. */
  detections: {
    /** The boxes `[4n]`, in pixels. */
    boxes: Float64Array | Float32Array;
    /** The scores `[n]`, in any order. A higher score is more certain. */
    scores: Float64Array | Float32Array;
    /** The labels `[n]`. */
    labels: Int32Array;
  };
  /** The `m` annotated objects of the image. */
  groundTruth: {
    /** The boxes `[4m]`, in pixels. */
    boxes: Float64Array | Float32Array;
    /** The labels `[m]`. */
    labels: Int32Array;
    /**
     * The areas `[m]` in square pixels, for COCO's small, medium and large.
     * @default the areas of the boxes
     */
    areas?: Float64Array | Float32Array;
    /**
     * COCO's `iscrowd` `[m]`: 1 if the box holds a whole group.
     * @default all 0
     */
    crowd?: Uint8Array;
    /**
     * Flags `[m]`: 1 if COCO's metric ignores the object and its detections.
     * @default all 0
     */
    ignore?: Uint8Array;
    /**
     * VOC's `difficult` `[m]`: 1 if VOC's metric ignores the object and its detections.
     * @default all 0
     */
    difficult?: Uint8Array;
  };
}

/**
 * Checks an image; `image` is the position that the message names.
 * @throws {TypeError} for an array of another kind
 * @throws {RangeError} for another length, a number that is not finite, a negative label or area, or a box with `xmax < xmin`
 */
export function checkImage(value: EvaluatedImage, image: number): void {
  const name = `images[${image}]`;
  const { detections, groundTruth } = checkObject(name, value);
  const { labels, boxes, scores } = checkObject(`${name}.detections`, detections);
  checkLabels(`${name}.detections.labels`, labels);
  checkBoxes(`${name}.detections.boxes`, boxes, labels.length);
  checkFloats(`${name}.detections.scores`, scores, labels.length);

  const objects = checkObject(`${name}.groundTruth`, groundTruth);
  const count = checkLabels(`${name}.groundTruth.labels`, objects.labels).length;
  checkBoxes(`${name}.groundTruth.boxes`, objects.boxes, count);
  if (objects.areas !== undefined) checkFloats(`${name}.groundTruth.areas`, objects.areas, count, 0);
  for (const flag of ['crowd', 'ignore', 'difficult'] as const) {
    const flags = objects[flag];
    if (flags === undefined) continue;
    if (!(flags instanceof Uint8Array)) {
      throw new TypeError(wrongArgument(`${name}.groundTruth.${flag}`, 'Uint8Array', flags));
    }
    checkLength(`${name}.groundTruth.${flag}`, flags.length, count);
  }
}

function checkObject<T>(name: string, value: T): T {
  if (value === null || typeof value !== 'object') throw new TypeError(wrongArgument(name, 'object', value));
  return value;
}

function checkLength(name: string, length: number, expected: number): void {
  if (length !== expected) throw new RangeError(wrongArgument(`${name}.length`, String(expected), length));
}

function checkLabels(name: string, labels: Int32Array): Int32Array {
  if (!(labels instanceof Int32Array)) throw new TypeError(wrongArgument(name, 'Int32Array', labels));
  const negative = labels.findIndex((label) => label < 0);
  if (negative >= 0) throw new RangeError(wrongArgument(`${name}[${negative}]`, 'integer >= 0', labels[negative]));
  return labels;
}

function checkFloats(name: string, values: Floats, length: number, min = Number.NEGATIVE_INFINITY): void {
  if (!(values instanceof Float64Array || values instanceof Float32Array)) {
    throw new TypeError(wrongArgument(name, 'Float64Array or Float32Array', values));
  }
  checkLength(name, values.length, length);
  for (let i = 0; i < length; i++) {
    if (!Number.isFinite(values[i]) || values[i]! < min) {
      const expected = min === 0 ? 'finite number >= 0' : 'finite number';
      throw new RangeError(wrongArgument(`${name}[${i}]`, expected, values[i]));
    }
  }
}

function checkBoxes(name: string, boxes: Floats, count: number): void {
  checkFloats(name, boxes, 4 * count);
  for (let i = 0; i < boxes.length; i++) {
    if (i % 4 >= 2 && boxes[i]! < boxes[i - 2]!) {
      const [low, high] = i % 4 === 2 ? ['xmin', 'xmax'] : ['ymin', 'ymax'];
      throw new RangeError(wrongArgument(`${high} at ${name}[${i}]`, `number >= ${low} (${boxes[i - 2]})`, boxes[i]));
    }
  }
}
