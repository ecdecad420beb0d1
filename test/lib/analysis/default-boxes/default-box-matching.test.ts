import { describe, expect, it } from 'vitest';
import { defaultBoxGrids, type RelativeBox } from '../../../../lib/analysis/default-boxes/default-box-grid.ts';
import { matchObjects } from '../../../../lib/analysis/default-boxes/default-box-matching.ts';
import { indices, loadTestAddon, matrix, rowsOf } from '../../../native/support.ts';
import { finish, randomBox } from '../../../support/images.ts';

const addon = await loadTestAddon();
const image = { width: 64, height: 64 };

/** One map of 2 x 2 cells with squares of half the image, twice. */
const squares = defaultBoxGrids(
  { aspectRatios: [[]], scales: [0.5, 0.5], steps: [], clip: true },
  [{ width: 2, height: 2 }],
  image,
);
const box = (x: number, y: number, width: number, height = width): RelativeBox => ({ x, y, width, height });
const positives = (...objects: RelativeBox[]) =>
  finish(matchObjects(objects, squares)).map(({ positives }) => positives);

describe('matchObjects', () => {
  it('finds the IoU by hand', () => {
    // A quarter by half of the image in a box of half by half; a tenth of the side in the middle of one.
    const found = finish(matchObjects([box(0.25, 0.25, 0.25, 0.5), box(0.75, 0.75, 0.1)], squares));
    expect(found).toEqual([
      { iou: 0.5, positives: 'overlapping' },
      { iou: expect.closeTo(0.04, 12), positives: 'forced' },
    ]);
  });

  it('gives nothing to an object whose only default box a later one takes', () => {
    expect(positives(box(0.25, 0.25, 0.1), box(0.26, 0.26, 0.1), box(0.75, 0.25, 0.1))).toEqual([
      'none',
      'forced',
      'forced',
    ]);
  });

  it('leaves an object its forced default box where another overlaps all of its own better', () => {
    const small = box(0.25, 0.25, 0.4);
    expect(positives(small)).toEqual(['overlapping']);
    expect(positives(box(0.25, 0.25, 0.45), small)).toEqual(['overlapping', 'forced']);
  });

  it('has nothing to say of an image without objects', () => {
    expect(positives()).toEqual([]);
  });

  it('is what the matcher of the core does', () => {
    const options = { aspectRatios: [[2], [2]], scales: [0.2, 0.45, 0.8], steps: [], clip: true };
    const maps = [
      { width: 8, height: 8 },
      { width: 4, height: 4 },
    ];
    const grids = defaultBoxGrids(options, maps, image);
    const written = addon.defaultBoxes(options, maps, image);
    const cornersOf = ({ x, y, width, height }: RelativeBox) =>
      [x - width / 2, y - height / 2, x + width / 2, y + height / 2].map((side) => side * 64);
    // Which of two equally good default boxes an object gets is a matter of rounding: leave such objects out.
    const isClear = (object: RelativeBox) => {
      const [best, next] = addon
        .boxIou(matrix([cornersOf(object)]), written)
        .data.toSorted()
        .toReversed();
      return best! - next! > 1e-4;
    };
    const seen = { overlapping: 0, forced: 0, none: 0 };
    for (let image = 0; image < 60; image++) {
      const objects = Array.from({ length: 30 }, (_, i) => randomBox(3, 40 * image + i, 0.1, 0.75)).filter(isClear);
      const iou = addon.boxIou(matrix(objects.map(cornersOf)), written);
      const quality = { data: iou.data, shape: [1, ...iou.shape] };
      const owners = [...addon.ssdMatch(quality, indices([objects.length], [1])).data];
      const rows = rowsOf(iou);
      for (const [i, { positives, iou: best }] of finish(matchObjects(objects, grids)).entries()) {
        expect(best).toBeCloseTo(Math.max(...rows[i]!), 5);
        const owned = owners.flatMap((owner, anchor) => (owner === i ? [rows[i]![anchor]!] : []));
        expect(positives === 'none').toBe(owned.length === 0);
        if (owned.length > 1) expect(positives).toBe('overlapping');
        if (owned.every((value) => value < 0.5)) expect(positives).not.toBe('overlapping');
        seen[positives]++;
      }
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(3);
  });
});
