import { describe, expect, it } from 'vitest';

import { PendingSteps } from '../../../lib/training/pending-steps.ts';

const result = (loss: number) => ({ loss, boxLoss: 0, classLoss: loss, gradientNorm: 1, positives: 2 });
const begun = (step: number, seconds: number) => ({ step, learningRate: step / 10, images: 4, seconds });

describe('PendingSteps', () => {
  it('pairs results with their steps, in order; those told together took equally long', () => {
    const pending = new PendingSteps();
    for (const [step, seconds] of [[1, 0.125], [2, 0.125], [3, 0.5], [4, 9]] as const) pending.begin(begun(step, seconds)); // biome-ignore format: a table
    expect(pending.finish([result(7), result(6), result(5)])).toEqual([
      { ...begun(1, 0.25), ...result(7) },
      { ...begun(2, 0.25), ...result(6) },
      { ...begun(3, 0.25), ...result(5) },
    ]);
    expect(pending.length).toBe(1);
    expect(pending.finish([])).toEqual([]);
    expect(pending.finish([result(4)])).toEqual([{ ...begun(4, 9), ...result(4) }]);
    expect(pending.length).toBe(0);
  });

  it('takes no results of steps that were never begun', () => {
    const pending = new PendingSteps();
    pending.begin(begun(1, 1));
    expect(() => pending.finish([result(1), result(2)])).toThrow('2 results of 1 steps');
  });
});
