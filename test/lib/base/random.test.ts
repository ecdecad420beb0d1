import { describe, expect, it } from 'vitest';
import { PURPOSE, permutation, random, stream } from '../../../lib/base/random.ts';

describe('random', () => {
  // Computed by another implementation (Python integers). These must never change: resumed runs depend on them.
  it.each([
    [0, 0, 0, 0, 456704701],
    [42, 0, 0, 1, 2100625495],
    [42, 0, 0, 2, 2725107687],
    [42, 19, 16550, 2, 531972865],
    [2 ** 53 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2, 2537037746],
  ])('is for ever the same for seed %d, epoch %d, sample %d, purpose %d', (seed, epoch, sample, purpose, word) => {
    expect(random(seed, epoch, sample, purpose)).toBe(word / 2 ** 32);
  });

  it('keeps the numbers of its purposes', () => {
    expect(PURPOSE).toEqual({
      shuffle: 1,
      flip: 2,
      photometricDistort: 3,
      zoomOut: 4,
      scaleJitter: 5,
      iouCrop: 6,
      mosaic: 7,
      mixup: 8,
      dropPath: 9,
      multiscale: 10,
    });
  });

  it('depends on each argument and on its place, the high bits of the seed included', () => {
    const drawn = [
      random(1, 2, 3, 4),
      random(2, 1, 3, 4),
      random(1, 3, 2, 4),
      random(1, 2, 4, 3),
      random(4, 3, 2, 1),
      random(1 + 2 ** 32, 2, 3, 4),
      random(1 + 2 ** 52, 2, 3, 4),
    ];
    expect(new Set(drawn).size).toBe(drawn.length);
  });

  it.each([
    ['samples', (i: number) => random(42, 0, i, PURPOSE.flip)],
    ['epochs', (i: number) => random(42, i, 0, PURPOSE.flip)],
    ['seeds', (i: number) => random(i, 0, 0, PURPOSE.flip)],
  ])('is uniform over consecutive %s', (_, draw) => {
    const bins = new Float64Array(64);
    const count = 64_000;
    for (let i = 0; i < count; i++) bins[Math.floor(draw(i) * 64)]! += 1;
    const chiSquare = bins.reduce((sum, n) => sum + (n - count / 64) ** 2 / (count / 64), 0);
    // 63 degrees of freedom: 99.9 % of all draws lie below 103.4, and 0.1 % below 32.
    expect(chiSquare).toBeLessThan(103.4);
    expect(chiSquare).toBeGreaterThan(32);
  });

  it.each([
    ['the next sample', (i: number) => random(42, 3, i + 1, PURPOSE.flip)],
    ['the next epoch', (i: number) => random(42, 4, i, PURPOSE.flip)],
    ['the next seed', (i: number) => random(43, 3, i, PURPOSE.flip)],
    ['another purpose', (i: number) => random(42, 3, i, PURPOSE.shuffle)],
  ])('has nothing to do with the number for %s', (_, other) => {
    const count = 40_000;
    let sum = 0;
    for (let i = 0; i < count; i++) sum += (random(42, 3, i, PURPOSE.flip) - 0.5) * (other(i) - 0.5) * 12;
    // The correlation of independent numbers has a standard deviation of 1 / sqrt(count) = 0.005.
    expect(Math.abs(sum / count)).toBeLessThan(0.0165);
  });
});

describe('permutation', () => {
  it('is for ever the same', () => {
    expect([...permutation(10, 42, 0)]).toEqual([0, 2, 8, 5, 7, 3, 4, 1, 9, 6]);
    expect([...permutation(10, 42, 1)]).toEqual([2, 6, 7, 4, 8, 1, 3, 5, 9, 0]);
  });

  it.each([0, 1, 2, 1000])('has each of %d numbers once', (length) => {
    expect([...permutation(length, 7, 3)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
  });

  it('reaches each of the 24 orders of four equally often', () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 24_000; epoch++) {
      const order = permutation(4, 1, epoch).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    expect(chiSquare).toBeLessThan(49.7); // 99.9 % at 23 degrees of freedom
  });
});

describe('stream', () => {
  const key = { seed: 42, epoch: 3, sample: 7, part: 0 };
  const numbers = (change: Partial<typeof key>, purpose: number = PURPOSE.zoomOut, count = 50) => {
    const draw = stream({ ...key, ...change }, purpose);
    return Array.from({ length: count }, () => draw());
  };

  it('begins with the number of random, and is the same again', () => {
    expect(numbers({}, PURPOSE.flip)[0]).toBe(random(42, 3, 7, PURPOSE.flip));
    expect(numbers({})).toEqual(numbers({}));
  });

  it('has no number in common with that of another seed, epoch, sample, part or purpose', () => {
    const purposes = Object.values(PURPOSE).map((purpose) => numbers({}, purpose));
    const parts = [1, 2, 3, 4, 7].map((part) => numbers({ part }));
    const others = [numbers({ seed: 43 }), numbers({ epoch: 4 }), numbers({ sample: 8 })];
    const all = [...purposes, ...parts, ...others].flat();
    expect(new Set(all).size).toBe(18 * 50);
  });

  it('is uniform', () => {
    const drawn = numbers({}, PURPOSE.iouCrop, 20_000);
    expect(drawn.reduce((a, b) => a + b) / drawn.length).toBeCloseTo(0.5, 1);
    for (let bin = 0; bin < 10; bin++) {
      const share = drawn.filter((number) => Math.floor(10 * number) === bin).length / drawn.length;
      expect(share).toBeGreaterThan(0.09);
      expect(share).toBeLessThan(0.11);
    }
  });
});
