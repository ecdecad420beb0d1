import { describe, expect, it } from 'vitest';
import { fitToArea, mosaicAreas } from '../../../../lib/data/augment/mosaic.ts';
import { wholeView } from '../../../../lib/data/augment/view.ts';
import { draws, truth } from '../../../support/augmentation.ts';

const size = { width: 200, height: 100 };

describe('mosaicAreas', () => {
  it('meet at the drawn centre', () => {
    expect(mosaicAreas(size, { p: 1, centerRange: [0.25, 0.75] }, draws(0.5, 0.1))).toEqual([
      { x: 0, y: 0, width: 100, height: 30 },
      { x: 100, y: 0, width: 100, height: 30 },
      { x: 0, y: 30, width: 100, height: 70 },
      { x: 100, y: 30, width: 100, height: 70 },
    ]);
  });

  it.each([0, 1])('leave a pixel to each at the edge: %i', (end) => {
    for (const { width, height } of mosaicAreas(size, { p: 1, centerRange: [end, end] }, draws(0, 0))) {
      expect(Math.min(width, height)).toBeGreaterThan(0);
    }
  });
});

describe('fitToArea', () => {
  const view = wholeView({ width: 400, height: 100, objects: [truth(0, 0, 100, 50), truth(250, 20, 350, 80)] });

  it('shows everything in an area of the same shape', () => {
    expect(fitToArea(view, { width: 100, height: 50 }, size, draws(0.3, 0.7))).toEqual(view);
  });

  it('cuts what an area of another shape has no room for, at the drawn place', () => {
    // .5 of the width, .2 of the height: at half the size there is room for .4 of the height.
    const cut = fitToArea(view, { width: 100, height: 20 }, size, draws(0.5, 1));
    expect(cut).toEqual({ window: { x: 0, y: 60, width: 400, height: 40 }, objects: [] });
    const upright = fitToArea(view, { width: 50, height: 100 }, size, draws(1, 0));
    expect(upright).toEqual({ window: { x: 300, y: 0, width: 100, height: 100 }, objects: [] });
    const middle = fitToArea(view, { width: 100, height: 100 }, size, draws(1, 0));
    expect(middle).toEqual({ window: { x: 200, y: 0, width: 200, height: 100 }, objects: [truth(250, 20, 350, 80)] });
  });
});
