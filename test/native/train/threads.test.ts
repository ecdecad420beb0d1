import { describe, expect, it } from 'vitest';

import { addon, batchOf, oneStep, options, weighted } from '../detectors.ts';

/** Of the first steps of a model whose last maps are one tile each, and whose first ones are several. */
async function losses(threads: number, precision: 'fp32' | 'bf16'): Promise<number[]> {
  await addon.setThreads(threads);
  const detector = await weighted({ ...options, precision });
  await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
  const batch = await batchOf();
  const found: number[] = [];
  for (let step = 0; step < 3; step++) found.push((await oneStep(detector, batch, 1e-3)).loss);
  addon.disposeDetector(detector);
  return found;
}

describe('a training step', () => {
  it.each(['fp32', 'bf16'] as const)('is the same with any number of threads: %s', async (precision) => {
    const expected = await losses(1, precision);
    for (const threads of [2, 3, 2, 1]) {
      for (const [step, loss] of (await losses(threads, precision)).entries()) {
        expect(loss).toBeCloseTo(expected[step]!, precision === 'fp32' ? 4 : 1);
      }
    }
  });
});
