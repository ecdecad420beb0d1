import type { Size } from '../../boxes/box.ts';
import type { PointOptions } from '../../model/default-box-options.ts';
import type { DefaultBoxLayout, RelativeBox } from './default-box-grid.ts';
import type { ObjectMatch } from './default-box-matching.ts';

/**
 * Matches the points of a dense head with the objects of an image, as training does (native/train/soft_assigner.cc). An object that
 * contains a point overlaps fully. Any other object is forced to take the nearest point.
 */
export function* matchPoints(
  objects: readonly RelativeBox[],
  { strides }: PointOptions,
  { imageSize, maps }: DefaultBoxLayout,
): Generator<void, Pick<ObjectMatch, 'iou' | 'positives'>[]> {
  yield;
  return objects.map((object) =>
    maps.some((cells, k) => holdsPoint(object, strides[k]!, cells, imageSize))
      ? { iou: 1, positives: 'overlapping' }
      : { iou: 0, positives: 'forced' },
  );
}

/** The number of points on all maps. */
export function countPoints(maps: readonly Size[]): number {
  return maps.reduce((sum, { width, height }) => sum + width * height, 0);
}

/** Tells whether a corner of a cell lies inside the box, not on its side. */
function holdsPoint({ x, y, width, height }: RelativeBox, stride: number, cells: Size, image: Size): boolean {
  const holds = (centre: number, side: number, pixels: number, count: number) => {
    const first = Math.max(0, Math.floor(((centre - side / 2) * pixels) / stride) + 1);
    return first < count && first * stride < (centre + side / 2) * pixels;
  };
  return holds(x, width, image.width, cells.width) && holds(y, height, image.height, cells.height);
}
