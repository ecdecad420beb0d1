import { describe, expect, it } from 'vitest';
import type { RunOptions } from '../../../lib/training/trainer-options.ts';
import {
  addStep,
  finishEpoch,
  freshState,
  isExhausted,
  isTrainingState,
  meanLosses,
  nextEpoch,
  readTrainingState,
} from '../../../lib/training/training-state.ts';

const step = (loss: number, boxLoss: number) => ({
  loss,
  boxLoss,
  classLoss: loss - boxLoss,
  gradientNorm: 1,
  positives: 2,
});

describe('TrainingState', () => {
  it('means are over the steps taken, not over their numbers', () => {
    const state = freshState({} as RunOptions);
    addStep(state, 1, step(4, 1));
    addStep(state, 3, step(2, 0.5)); // the second batch could not be read
    expect(state.step).toBe(3);
    expect(meanLosses(state)).toEqual({ trainLoss: 3, boxLoss: 0.75, classLoss: 2.25 });
  });

  it('an epoch without a single step is an error, not NaN', () => {
    expect(() => meanLosses(freshState({} as RunOptions))).toThrow('None of the training images');
  });

  it('the first epoch is the best, a later one only when it is better', () => {
    const state = freshState({} as RunOptions);
    expect([0, 0.5, 0.5, 0.4, 0.6].map((score) => finishEpoch(state, score))).toEqual([true, true, false, false, true]);
    expect(state).toMatchObject({ epoch: 5, step: 0, bestScore: 0.6, bestEpoch: 5, sums: { loss: 0, steps: 0 } });
  });

  it('goes on to the next epoch before this one has a score', () => {
    const state = freshState({} as RunOptions);
    addStep(state, 1, step(4, 1));
    const trained = nextEpoch(state);
    addStep(state, 2, step(2, 1));
    expect(state).toMatchObject({ epoch: 1, step: 2, sums: { loss: 2, steps: 1 }, bestScore: null });
    expect(trained).toMatchObject({ epoch: 0, step: 1, sums: { loss: 4, steps: 1 } });
    expect(finishEpoch(trained, 0.5)).toBe(true);
    expect(trained).toMatchObject({ epoch: 1, step: 0, sums: { steps: 0 }, bestScore: 0.5, bestEpoch: 1 });
  });

  it('is exhausted when its best epoch is as long ago as patience says', () => {
    const state = freshState({} as RunOptions);
    expect(isExhausted(state, 1)).toBe(false);
    const exhausted = [0.2, 0.5, 0.5, 0.4, 0.6].map((score) => {
      finishEpoch(state, score);
      return [isExhausted(state, 2), isExhausted(state, undefined)];
    });
    expect(exhausted.map(([two]) => two)).toEqual([false, false, false, true, false]);
    expect(exhausted.some(([, never]) => never)).toBe(false);
  });

  it('survives JSON and recognises itself', () => {
    const state = freshState({} as RunOptions);
    addStep(state, 1, step(0.1 + 0.2, 0.1));
    const copy = JSON.parse(JSON.stringify(state));
    expect(isTrainingState(copy)).toBe(true);
    expect(copy).toEqual(state);
  });

  it.each([
    ['epoch', -1],
    ['step', 1.5],
    ['bestScore', 'high'],
    ['sums', null],
    ['options', undefined],
  ])('refuses a wrong %s', (key, value) => {
    const training = { ...freshState({} as RunOptions), [key]: value };
    expect(isTrainingState(training)).toBe(false);
    expect(() => readTrainingState('last', training)).toThrow('last/checkpoint.json has a wrong "training"');
  });
});
