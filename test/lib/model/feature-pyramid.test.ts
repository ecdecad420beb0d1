import { describe, expect, it } from 'vitest';
import { bestDefaultBox, defaultBoxGrids } from '../../../lib/analysis/default-boxes/default-box-grid.ts';
import { random } from '../../../lib/base/random.ts';
import { pyramidDefaultBoxes, pyramidMaps } from '../../../lib/model/feature-pyramid.ts';

describe('pyramidMaps', () => {
  it.each([
    [640, 640, '80x80 40x40 20x20 10x10 5x5 3x3'],
    [512, 512, '64x64 32x32 16x16 8x8 4x4 2x2'],
    [64, 64, '8x8 4x4 2x2'],
    [96, 64, '12x8 6x4 3x2'],
    [64, 1024, '8x128 4x64 2x32 1x16 1x8 1x4 1x2'],
    [672, 416, '84x52 42x26 21x13 11x7 6x4 3x2'],
  ])('halves, rounding up, down to 3 cells: %i x %i', (width, height, expected) => {
    const maps = pyramidMaps({ width, height }).map((map) => `${map.width}x${map.height}`);
    expect(maps.join(' ')).toBe(expected);
  });
});

describe('pyramidDefaultBoxes', () => {
  it("has SSD's ratios, and scales that grow by one factor up to .9", () => {
    const { aspectRatios, scales, ...rest } = pyramidDefaultBoxes(pyramidMaps({ width: 640, height: 640 }));
    expect(aspectRatios).toEqual([[2], [2, 3], [2, 3], [2, 3], [2], [2]]);
    expect(rest).toEqual({ steps: [], clip: true });
    expect([scales[0], scales[5], scales[6]]).toEqual([0.04, 0.9, 1]);
    for (let k = 1; k < 6; k++) expect(scales[k]! / scales[k - 1]!).toBeCloseTo((0.9 / 0.04) ** (1 / 5), 1);
  });

  it.each([
    [640, 0.04],
    [512, 0.0425],
    [384, 0.0567],
    [320, 0.06],
    [64, 0.06],
  ])('begins with 2.7 cells of the finest map, .04 to .06 of the image: %i', (side, finest) => {
    expect(pyramidDefaultBoxes(pyramidMaps({ width: side, height: side })).scales[0]).toBe(finest);
  });

  it('takes the one map of a program', () => {
    expect(pyramidDefaultBoxes([{ width: 3, height: 3 }])).toMatchObject({ aspectRatios: [[2]], scales: [0.06, 1] });
  });

  it.each([320, 512, 640])('reaches objects of .05 to .9 of the side, and ratios from 1:2 to 2:1: %i', (side) => {
    const maps = pyramidMaps({ width: side, height: side });
    const grids = defaultBoxGrids(pyramidDefaultBoxes(maps), maps, { width: side, height: side });
    let covered = 0;
    for (let i = 0; i < 2000; i++) {
      const draw = (k: number) => random(5, i, k, 0);
      const [scale, root] = [0.05 * 18 ** draw(0), 2 ** (draw(1) - 0.5)];
      const [width, height] = [Math.min(1, scale * root), Math.min(1, scale / root)];
      const place = { x: width / 2 + draw(2) * (1 - width), y: height / 2 + draw(3) * (1 - height) };
      if (bestDefaultBox({ ...place, width, height }, grids).iou >= 0.5) covered++;
    }
    expect(covered / 2000).toBeGreaterThan(0.97);
  });
});
