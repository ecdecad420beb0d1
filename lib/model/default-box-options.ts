import { checkBoolean, checkKeys, checkNumbers, checkPositive, checkSequence, wrongArgument } from '../base/check.ts';

/** torchvision's DefaultBoxGenerator, resolved: one list of ratios per head entry, one more scale than lists. */
export interface DefaultBoxOptions {
  aspectRatios: number[][];
  /** Relative to the image's side. */
  scales: number[];
  /** Pixels per cell, for each map; empty: image size / map size. */
  steps: number[];
  /** Clamp width and height to the image. */
  clip: boolean;
}

/** torchvision's AnchorGenerator (RetinaNet): on every map each size in each ratio. */
export interface AnchorOptions {
  /** Sides of the square of the same area, in pixels; one list for each map, all equally long. */
  sizes: number[][];
  /** Height / width. */
  aspectRatios: number[];
}

/** Of the head `ssd`, or of `retinanet`. */
export type BoxOptions = DefaultBoxOptions | AnchorOptions;

const MAX_MAPS = 16;
const MAX_RATIOS = 16;

/** Whether they are RetinaNet's anchors, and not SSD's default boxes. */
export function isAnchors(options: BoxOptions): options is AnchorOptions {
  return 'sizes' in options;
}

/** How many maps there are boxes for. */
export function countMaps(options: BoxOptions): number {
  return isAnchors(options) ? options.sizes.length : options.aspectRatios.length;
}

/** Boxes of each cell of a map. */
export function boxesPerCell(options: BoxOptions, map: number): number {
  return isAnchors(options)
    ? options.sizes[map]!.length * options.aspectRatios.length
    : 2 + 2 * options.aspectRatios[map]!.length;
}

/** Every field of the options of default boxes or anchors, for any number of maps up to 16. */
export function checkDefaultBoxes(name: string, value: unknown): BoxOptions {
  const keys = isObject(value) && 'sizes' in value ? ['sizes', 'aspectRatios'] : undefined;
  const boxes = checkKeys(name, value, keys ?? ['aspectRatios', 'scales', 'steps', 'clip']);
  return keys ? checkAnchors(name, boxes) : checkSsdBoxes(name, boxes);
}

/** The same, and that the maps, which come from fine to coarse, have boxes that grow. */
export function checkOrderedBoxes(name: string, value: unknown): BoxOptions {
  const boxes = checkDefaultBoxes(name, value);
  const [key, sides] = isAnchors(boxes)
    ? ['sizes', boxes.sizes.map((sizes) => Math.min(...sizes))]
    : ['scales', boxes.scales];
  const k = sides.findIndex((side, i) => side < (sides[i - 1] ?? 0));
  if (k < 0) return boxes;
  throw new RangeError(
    `Expected ${name}.${key} that ascend, as the maps come from fine to coarse, but received ${sides[k]} after ${sides[k - 1]}. ` +
      'Sort them, or have some proposed: dinov3-det analyze --write-config',
  );
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
