import type { Size } from '../../boxes/box.ts';
import type { ResizeName } from '../../boxes/letterbox.ts';
import type { AnchorOptions, DefaultBoxOptions, FittedBoxOptions } from '../../model/default-box-options.ts';
import { isAnchors } from '../../model/default-box-options.ts';
import { type Shape, shapeIou } from './k-means.ts';

/** The sizes that default boxes are laid out on. */
export interface DefaultBoxLayout {
  imageSize: Size;
  /** How images are resized to that size; default `stretch`. */
  resize?: ResizeName | undefined;
  /** The sizes of the feature maps in cells, finest first. */
  maps: readonly Size[];
}

/** A box by its centre and sides, relative to the image's width and height. IoU is the same as in pixels. */
export interface RelativeBox extends Shape {
  x: number;
  y: number;
}

/** The default boxes of one feature map: every shape at every cell. */
export interface DefaultBoxGrid {
  columns: number;
  rows: number;
  /** The distance between two centres. The first centre is `offset` steps from the border. */
  stepX: number;
  stepY: number;
  offset: number;
  shapes: Shape[];
}

/** The place of a default box: its position in `grids` and in `shapes`, and its cell. */
export interface DefaultBoxMatch {
  grid: number;
  shape: number;
  column: number;
  row: number;
  iou: number;
}

/**
 * Lays out the boxes of torchvision's DefaultBoxGenerator or AnchorGenerator (native/ops/default_boxes.cc, anchors.cc). It computes in
 * double precision and does not list the boxes. `maps` are the sizes of the feature maps in cells. As in the article, there may be fewer
 * maps than entries in `options`.
 */
export function defaultBoxGrids(options: FittedBoxOptions, maps: readonly Size[], image: Size): DefaultBoxGrid[] {
  return maps.map((cells, k) => {
    const places = isAnchors(options) ? anchorPlaces(cells, image) : defaultBoxPlaces(options, cells, k, image);
    const shapes = isAnchors(options) ? anchorShapes(options, k, image) : defaultBoxShapes(options, k);
    return { columns: cells.width, rows: cells.height, ...places, shapes };
  });
}

function defaultBoxPlaces({ steps }: DefaultBoxOptions, { width, height }: Size, map: number, image: Size) {
  const step = steps[map];
  return {
    stepX: step === undefined ? 1 / width : step / image.width,
    stepY: step === undefined ? 1 / height : step / image.height,
    offset: 0.5,
  };
}

/** Steps of whole pixels from cell to cell. The first centre is in the corner of the image. */
function anchorPlaces({ width, height }: Size, image: Size) {
  return {
    stepX: Math.floor(image.width / width) / image.width,
    stepY: Math.floor(image.height / height) / image.height,
    offset: 0,
  };
}

/** Each ratio in each size; sides have an even number of pixels. */
function anchorShapes({ sizes, aspectRatios }: AnchorOptions, map: number, image: Size): Shape[] {
  const root = (ratio: number) => Math.fround(Math.sqrt(Math.fround(ratio)));
  const twice = (side: number) => 2 * roundHalfToEven(Math.fround(side) / 2);
  return aspectRatios.flatMap((ratio) =>
    sizes[map]!.map(Math.fround).map((size) => ({
      width: twice(Math.fround(1 / root(ratio)) * size) / image.width,
      height: twice(root(ratio) * size) / image.height,
    })),
  );
}

/** Rounds like torch.round. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The shapes of one map: square, larger square, then a wide and a tall one for each ratio. */
export function defaultBoxShapes({ aspectRatios, scales, clip }: DefaultBoxOptions, map: number): Shape[] {
  const scale = scales[map]!;
  const next = Math.sqrt(scale * scales[map + 1]!);
  const ratios = aspectRatios[map]!.flatMap((ratio) => [Math.sqrt(ratio), 1 / Math.sqrt(ratio)]);
  const bound = clip ? 1 : Number.POSITIVE_INFINITY;
  const shape = (width: number, height: number) => ({ width: Math.min(bound, width), height: Math.min(bound, height) });
  return [shape(scale, scale), shape(next, next), ...ratios.map((root) => shape(scale * root, scale / root))];
}

export function countDefaultBoxes(grids: readonly DefaultBoxGrid[]): number {
  return grids.reduce((sum, { columns, rows, shapes }) => sum + columns * rows * shapes.length, 0);
}

/**
 * Finds the default box with the largest IoU. For one shape IoU grows with the overlap, and the nearest centre has the largest overlap. So
 * only one cell per map and shape is tested. If several cells cover the whole object, the nearest one is taken.
 */
export function bestDefaultBox(box: RelativeBox, grids: readonly DefaultBoxGrid[]): DefaultBoxMatch {
  let best: DefaultBoxMatch = { grid: 0, shape: 0, column: 0, row: 0, iou: -1 };
  for (const [k, grid] of grids.entries()) {
    const column = nearestCell(box.x, grid.stepX, grid.columns, grid.offset);
    const row = nearestCell(box.y, grid.stepY, grid.rows, grid.offset);
    for (const [s, shape] of grid.shapes.entries()) {
      const width = overlap(box.x, box.width, (column + grid.offset) * grid.stepX, shape.width);
      const height = overlap(box.y, box.height, (row + grid.offset) * grid.stepY, shape.height);
      const iou = iouOf(width * height, box, shape);
      if (iou > best.iou) best = { grid: k, shape: s, column, row, iou };
    }
  }
  return best;
}

/** Calls `visit` with the cell of every default box of one shape that reaches `minIou` (above 0) with the box. */
export function visitDefaultBoxes(
  box: RelativeBox,
  grid: DefaultBoxGrid,
  shape: Shape,
  minIou: number,
  visit: (cell: number, iou: number) => void,
): void {
  if (shapeIou(box, shape) < minIou) return; // no IoU is larger than with equal centres
  const heights = [...overlaps(box.y, box.height, grid.stepY, grid.offset, grid.rows, shape.height)];
  for (const [column, width] of overlaps(box.x, box.width, grid.stepX, grid.offset, grid.columns, shape.width)) {
    for (const [row, height] of heights) {
      const iou = iouOf(width * height, box, shape);
      if (iou >= minIou) visit(row * grid.columns + column, iou);
    }
  }
}

/** The cells along one axis whose side overlaps the object's side. */
function* overlaps(
  centre: number,
  side: number,
  step: number,
  offset: number,
  cells: number,
  boxSide: number,
): Generator<[cell: number, overlap: number]> {
  const reach = (side + boxSide) / 2;
  const first = Math.max(0, Math.floor((centre - reach) / step - offset));
  const last = Math.min(cells - 1, Math.ceil((centre + reach) / step - offset));
  for (let cell = first; cell <= last; cell++) {
    const length = overlap(centre, side, (cell + offset) * step, boxSide);
    if (length > 0) yield [cell, length];
  }
}

function nearestCell(centre: number, step: number, cells: number, offset: number): number {
  return Math.min(cells - 1, Math.max(0, Math.ceil(centre / step - offset - 0.5)));
}

/** The overlap of two intervals, given by centre and length; 0 if they are apart. */
function overlap(a: number, aLength: number, b: number, bLength: number): number {
  return Math.max(0, Math.min(a + aLength / 2, b + bLength / 2) - Math.max(a - aLength / 2, b - bLength / 2));
}

function iouOf(intersection: number, a: Shape, b: Shape): number {
  return intersection / (a.width * a.height + b.width * b.height - intersection);
}
