import { describe, expect, it } from 'vitest';
import {
  bestDefaultBox,
  countDefaultBoxes,
  defaultBoxGrids,
  type RelativeBox,
  visitDefaultBoxes,
} from '../../../../lib/analysis/default-boxes/default-box-grid.ts';
import type { Size } from '../../../../lib/boxes/box.ts';
import type { FittedBoxOptions } from '../../../../lib/model/default-box-options.ts';
import { isAnchors } from '../../../../lib/model/default-box-options.ts';
import { retinaNetAnchors } from '../../../../lib/model/detection-head.ts';
import { retinaNetMaps } from '../../../../lib/model/feature-pyramid.ts';
import { expectClose, loadTestAddon, matrix, rowsOf } from '../../../native/support.ts';
import { randomBox } from '../../../support/images.ts';

const addon = await loadTestAddon();

const article = { aspectRatios: [[2], [2, 3]], scales: [0.15, 0.9, 1], steps: [], clip: true };
const layouts: [name: string, options: FittedBoxOptions, maps: Size[], image: Size][] = [
  ['the article', article, [{ width: 20, height: 20 }], { width: 640, height: 640 }],
  [
    'three maps of an oblong image',
    { aspectRatios: [[2], [2, 3], []], scales: [0.1, 0.3, 0.6, 1.1], steps: [], clip: true },
    [
      { width: 12, height: 8 },
      { width: 6, height: 4 },
      { width: 3, height: 2 },
    ],
    { width: 96, height: 64 },
  ],
  [
    'steps, and shapes beyond the image',
    { aspectRatios: [[4], [1.5]], scales: [0.2, 0.7, 1.4], steps: [8, 30], clip: false },
    [
      { width: 10, height: 10 },
      { width: 3, height: 3 },
    ],
    { width: 80, height: 90 },
  ],
  ["RetinaNet's anchors", retinaNetAnchors(), retinaNetMaps({ width: 320, height: 224 }), { width: 320, height: 224 }],
  [
    'anchors of odd sizes on cells that do not divide the image',
    { sizes: [[11, 33.5], [60, 61]], aspectRatios: [0.4, 1, 3] }, // biome-ignore format: one line
    [
      { width: 15, height: 9 },
      { width: 7, height: 5 },
    ],
    { width: 128, height: 96 },
  ],
];

const corners = ({ x, y, width, height }: RelativeBox, image: Size) => [
  (x - width / 2) * image.width,
  (y - height / 2) * image.height,
  (x + width / 2) * image.width,
  (y + height / 2) * image.height,
];

describe.each(layouts)('default boxes of %s', (_, options, maps, image) => {
  const grids = defaultBoxGrids(options, maps, image);
  const written = isAnchors(options) ? addon.anchors(options, maps, image) : addon.defaultBoxes(options, maps, image);
  const boxes = Array.from({ length: 200 }, (_, i) => randomBox(7, i));
  const ious = rowsOf(addon.boxIou(matrix(boxes.map((box) => corners(box, image))), written));

  it('are as many as those of the core', () => {
    expect(countDefaultBoxes(grids)).toBe(written.shape[0]);
  });

  it('have the best IoU of the core', () => {
    for (const [i, box] of boxes.entries()) {
      expect(bestDefaultBox(box, grids).iou).toBeCloseTo(Math.max(...ious[i]!), 5);
    }
  });

  it.each([0.3, 0.5])('that reach IoU %f are those of the core', (minIou) => {
    let found = 0;
    for (const [i, box] of boxes.entries()) {
      const visited: number[] = [];
      for (const grid of grids) {
        for (const shape of grid.shapes) visitDefaultBoxes(box, grid, shape, minIou, (_, iou) => visited.push(iou));
      }
      const expected = Float64Array.from(ious[i]!.filter((iou) => iou >= minIou)).sort();
      expect(visited).toHaveLength(expected.length);
      expectClose(Float64Array.from(visited).sort(), expected, 1e-5);
      found += visited.length;
    }
    expect(found).toBeGreaterThan(50);
  });
});

it('the cell of the best default box is the one that the object lies in', () => {
  const grids = defaultBoxGrids(article, [{ width: 4, height: 2 }], { width: 64, height: 64 });
  const at = (x: number, y: number) => {
    const { grid, column, row } = bestDefaultBox({ x, y, width: 0.15, height: 0.15 }, grids);
    return [grid, column, row];
  };
  expect(at(0.375, 0.75)).toEqual([0, 1, 1]);
  expect(at(0.01, 0.01)).toEqual([0, 0, 0]);
  expect(at(0.99, 0.99)).toEqual([0, 3, 1]);
});
