import { describe, expect, it } from 'vitest';
import { sizeOfStep, trainingSizes } from '../../../lib/training/multiscale.ts';

const text = ({ width, height }: { width: number; height: number }) => `${width}x${height}`;

describe('the sizes of a multi-scale training', () => {
  it('are multiples of 32 in the proportions of the model', () => {
    const sizes = trainingSizes({ width: 640, height: 320 }, [0.5, 1.5]).map(text);
    expect(sizes.slice(0, 3)).toEqual(['320x160', '352x192', '384x192']);
    expect(sizes.at(-1)).toBe('960x480');
    expect(sizes).toContain('640x320');
    expect(sizes).toHaveLength(21);
  });

  it('stay within what a model takes', () => {
    expect(trainingSizes({ width: 64, height: 64 }, [0.25, 1]).map(text)).toEqual(['64x64']);
    expect(trainingSizes({ width: 4096, height: 64 }, [1, 1.1]).map(text)).toEqual(['4096x64']);
  });

  it('may be one, or none where no multiple of 32 lies between', () => {
    expect(trainingSizes({ width: 96, height: 64 }, [1, 1]).map(text)).toEqual(['96x64']);
    expect(trainingSizes({ width: 96, height: 64 }, [1.01, 1.1])).toEqual([]);
  });
});

describe('the size of a step', () => {
  const sizes = trainingSizes({ width: 640, height: 640 }, [0.5, 1.5]);
  const of = (step: number, epoch = 0, seed = 42) => text(sizeOfStep(sizes, { seed, epoch, step }));

  it('is kept for ten steps, and every size has its turn', () => {
    for (let step = 0; step < 200; step++) expect(of(step)).toBe(of(10 * Math.floor(step / 10)));
    const drawn = new Set(Array.from({ length: 400 }, (_, i) => of(10 * i)));
    expect(drawn.size).toBe(sizes.length);
  });

  it('depends on seed and epoch', () => {
    const drawn = (epoch: number, seed: number) => Array.from({ length: 20 }, (_, i) => of(10 * i, epoch, seed));
    expect(drawn(0, 42)).toEqual(drawn(0, 42));
    expect(drawn(1, 42)).not.toEqual(drawn(0, 42));
    expect(drawn(0, 43)).not.toEqual(drawn(0, 42));
  });
});
