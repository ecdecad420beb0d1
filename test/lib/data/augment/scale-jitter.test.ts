import { expect, it } from 'vitest';
import { PURPOSE, stream } from '../../../../lib/base/random.ts';
import { scaleJitter } from '../../../../lib/data/augment/scale-jitter.ts';
import { wholeView } from '../../../../lib/data/augment/view.ts';
import { draws, truth } from '../../../support/augmentation.ts';

const options = { p: 1, scaleRange: [0.5, 2] } as const;
const view = wholeView({ width: 100, height: 50, objects: [truth(10, 10, 40, 40), truth(80, 5, 90, 15)] });

it('by hand: twice as large shows half of each side, and what has its centre there', () => {
  expect(scaleJitter(view, options, draws(0, 1, 0.25, 0.8))).toEqual({
    window: { x: 12, y: 20, width: 50, height: 25 },
    objects: [truth(12, 20, 40, 40)],
  });
});

it('by hand: half as large lies on a canvas of twice the sides', () => {
  expect(scaleJitter(view, options, draws(0, 0, 0.5, 0.25))).toEqual({
    window: { x: -50, y: -13, width: 200, height: 100 },
    objects: view.objects,
  });
});

it('leaves the image alone by its probability', () => {
  expect(scaleJitter(view, { ...options, p: 0.3 }, draws(0.3))).toBe(view);
});

it('keeps a pixel of the smallest image', () => {
  const tiny = wholeView({ width: 1, height: 1, objects: [] });
  expect(scaleJitter(tiny, { p: 1, scaleRange: [100, 100] }, draws(0, 0, 0, 0)).window).toEqual(tiny.window);
});

it('draws scales evenly from its range', () => {
  const scales = Array.from({ length: 5000 }, (_, sample) => {
    const draw = stream({ seed: 1, epoch: 0, sample, part: 0 }, PURPOSE.scaleJitter);
    return 1000 / scaleJitter(wholeView({ width: 1000, height: 1000, objects: [] }), options, draw).window.width;
  });
  expect(Math.min(...scales)).toBeGreaterThanOrEqual(0.5);
  expect(Math.max(...scales)).toBeLessThan(2.01);
  expect(scales.filter((scale) => scale < 1.25).length / scales.length).toBeCloseTo(0.5, 1);
});
