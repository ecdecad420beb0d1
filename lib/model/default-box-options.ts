import { checkBoolean, checkKeys, checkNumbers, checkPositive, checkSequence, wrongArgument } from '../base/check.ts';

/** The options of torchvision's DefaultBoxGenerator: one list of ratios per map of the head, and one more scale than lists. */
export interface DefaultBoxOptions {
  aspectRatios: number[][];
  /** The scales, relative to the image's side. */
  scales: number[];
  /** The pixels per cell for each map. If it is empty, they are image size / map size. */
  steps: number[];
  /** Whether to limit width and height to the image. */
  clip: boolean;
}

/** The options of torchvision's AnchorGenerator (RetinaNet): every map has each size in each ratio. */
export interface AnchorOptions {
  /** The sides of squares of the same area, in pixels. There is one list per map, all of the same length. */
  sizes: number[][];
  /** The aspect ratios, as height / width. */
  aspectRatios: number[];
}

/** The points of a dense head, instead of default boxes: one in the upper left corner of every cell of every map. */
export interface PointOptions {
  /** The pixels per cell for each map. */
  strides: number[];
}

/** The boxes that can be fitted to objects, of the head `ssd` or `retinanet`. */
export type FittedBoxOptions = DefaultBoxOptions | AnchorOptions;

/** The boxes of the head `ssd`, `retinanet` or `dense`. */
export type BoxOptions = FittedBoxOptions | PointOptions;

/** What a head predicts its boxes from, in words. */
export type BoxKind = 'default boxes' | 'anchors' | 'points';

/** The keys of each kind. */
export const boxKeys = {
  'default boxes': ['aspectRatios', 'scales', 'steps', 'clip'],
  anchors: ['sizes', 'aspectRatios'],
  points: ['strides'],
} as const satisfies Record<BoxKind, readonly string[]>;

const MAX_MAPS = 16;
const MAX_RATIOS = 16;

/** Whether they are RetinaNet's anchors, and not SSD's default boxes. */
export function isAnchors(options: BoxOptions): options is AnchorOptions {
  return 'sizes' in options;
}

/** Whether they are the points of a dense head. */
export function isPoints(options: BoxOptions): options is PointOptions {
  return 'strides' in options;
}

/** Which of the kinds they are. */
export function boxKindOf(options: object): BoxKind {
  if ('strides' in options) return 'points';
  return 'sizes' in options ? 'anchors' : 'default boxes';
}

/** How many maps there are boxes for. */
export function countMaps(options: BoxOptions): number {
  if (isPoints(options)) return options.strides.length;
  return isAnchors(options) ? options.sizes.length : options.aspectRatios.length;
}

/** Boxes of each cell of a map. */
export function boxesPerCell(options: BoxOptions, map: number): number {
  if (isPoints(options)) return 1;
  return isAnchors(options)
    ? options.sizes[map]!.length * options.aspectRatios.length
    : 2 + 2 * options.aspectRatios[map]!.length;
}

/** Every field of the options of default boxes, anchors or points, for any number of maps up to 16. */
export function checkDefaultBoxes(name: string, value: unknown): BoxOptions {
  const kind = isObject(value) ? boxKindOf(value) : 'default boxes';
  const boxes = checkKeys(name, value, boxKeys[kind]);
  if (kind === 'points') return { strides: checkNumbers(`${name}.strides`, boxes.strides, 1, MAX_MAPS, checkPositive) };
  return kind === 'anchors' ? checkAnchors(name, boxes) : checkSsdBoxes(name, boxes);
}

/** The same, and that the maps, which come from fine to coarse, have boxes that grow. */
export function checkOrderedBoxes(name: string, value: unknown): BoxOptions {
  const boxes = checkDefaultBoxes(name, value);
  const [key, sides] = sidesOf(boxes);
  const k = sides.findIndex((side, i) => side < (sides[i - 1] ?? 0));
  if (k < 0) return boxes;
  const remedy = isPoints(boxes)
    ? 'Sort them, or leave them out'
    : 'Sort them, or have some proposed: dinov3-det analyze --write-config';
  throw new RangeError(
    `Expected ${name}.${key} that ascend, as the maps come from fine to coarse, but received ${sides[k]} after ${sides[k - 1]}. ${remedy}`,
  );
}

/** What grows from map to map, and its key. */
function sidesOf(boxes: BoxOptions): [key: string, sides: readonly number[]] {
  if (isPoints(boxes)) return ['strides', boxes.strides];
  if (isAnchors(boxes)) return ['sizes', boxes.sizes.map((sizes) => Math.min(...sizes))];
  return ['scales', boxes.scales];
}

function checkSsdBoxes(name: string, boxes: Record<string, unknown>): DefaultBoxOptions {
  const lists = checkSequence(`${name}.aspectRatios`, boxes.aspectRatios, 1, MAX_MAPS);
  const ratios = (list: unknown, k: number) =>
    checkNumbers(`${name}.aspectRatios[${k}]`, list, 0, MAX_RATIOS, checkPositive);
  return {
    aspectRatios: lists.map(ratios),
    scales: checkNumbers(`${name}.scales`, boxes.scales, lists.length + 1, lists.length + 1, checkPositive),
    steps: checkSteps(`${name}.steps`, boxes.steps, lists.length),
    clip: checkBoolean(`${name}.clip`, boxes.clip),
  };
}

/** One head looks at all maps, so each has as many anchors in a cell. */
function checkAnchors(name: string, boxes: Record<string, unknown>): AnchorOptions {
  const lists = checkSequence(`${name}.sizes`, boxes.sizes, 1, MAX_MAPS);
  const sizes = lists.map((list, k) => checkNumbers(`${name}.sizes[${k}]`, list, 1, MAX_RATIOS, checkPositive));
  const k = sizes.findIndex(({ length }) => length !== sizes[0]!.length);
  if (k >= 0) {
    const expected = `${sizes[0]!.length} sizes, as many as those of the first map,`;
    throw new RangeError(wrongArgument(`${name}.sizes[${k}]`, expected, sizes[k]));
  }
  return {
    sizes,
    aspectRatios: checkNumbers(`${name}.aspectRatios`, boxes.aspectRatios, 1, MAX_RATIOS, checkPositive),
  };
}

function checkSteps(name: string, value: unknown, maps: number): number[] {
  const steps = checkNumbers(name, value, 0, maps, checkPositive);
  if (steps.length !== 0 && steps.length !== maps) {
    throw new RangeError(wrongArgument(name, `no step or one for each of ${maps} maps`, value));
  }
  return steps;
}

function isObject(value: unknown): value is object {
  return value !== null && typeof value === 'object';
}
