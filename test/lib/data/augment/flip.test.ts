import { describe, expect, it } from 'vitest';
import { flipBox, scaleBox } from '../../../../lib/boxes/box.ts';
import { decideFlip } from '../../../../lib/data/augment/flip.ts';

const box = { xmin: 10, ymin: 20.5, xmax: 40, ymax: 60 };

describe('flipBox', () => {
  it('mirrors left and right, and leaves the height alone', () => {
    expect(flipBox(box, 100)).toEqual({ xmin: 60, ymin: 20.5, xmax: 90, ymax: 60 });
  });

  it('is undone by itself', () => {
    expect(flipBox(flipBox(box, 333), 333)).toEqual(box);
  });

  it('keeps a box of the whole image', () => {
    const whole = { xmin: 0, ymin: 0, xmax: 64, ymax: 32 };
    expect(flipBox(whole, 64)).toEqual(whole);
  });
});

describe('scaleBox', () => {
  it('takes a factor for each axis', () => {
    expect(scaleBox(box, 2, 0.5)).toEqual({ xmin: 20, ymin: 10.25, xmax: 80, ymax: 30 });
  });

  it('may come before or after a flip', () => {
    expect(scaleBox(flipBox(box, 100), 3, 2)).toEqual(flipBox(scaleBox(box, 3, 2), 300));
  });
});

describe('decideFlip', () => {
  const flips = (seed: number, epoch: number, probability: number) =>
    Array.from({ length: 2000 }, (_, sample) => decideFlip(seed, epoch, sample, probability));
  const share = (decisions: boolean[]) => decisions.filter(Boolean).length / decisions.length;

  it('is for ever the same', () => {
    // 2725107687 / 2^32 = 0.634, the golden value of random(42, 0, 0, flip)
    expect(decideFlip(42, 0, 0, 0.63)).toBe(false);
    expect(decideFlip(42, 0, 0, 0.64)).toBe(true);
  });

  it('never flips at 0 and always at 1', () => {
    expect(share(flips(1, 1, 0))).toBe(0);
    expect(share(flips(1, 1, 1))).toBe(1);
  });

  it('flips as often as asked', () => {
    expect(share(flips(42, 0, 0.5))).toBeCloseTo(0.5, 1);
    expect(share(flips(42, 0, 0.2))).toBeCloseTo(0.2, 1);
  });

  it('flips others in another epoch', () => {
    const [first, second] = [flips(42, 0, 0.5), flips(42, 1, 0.5)];
    expect(share(first.map((flip, i) => flip === second[i]))).toBeCloseTo(0.5, 1);
  });
});
