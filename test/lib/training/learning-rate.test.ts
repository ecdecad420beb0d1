import { describe, expect, it } from 'vitest';
import {
  type LearningRateSchedule,
  learningRateAt,
  type MultiStepSchedule,
  multiStepLearningRate,
} from '../../../lib/training/learning-rate.ts';
import { golden } from '../../support/shared.ts';

interface GoldenSchedule {
  name: string;
  schedule: MultiStepSchedule;
  /** Of each epoch. */
  rates: number[];
}

const schedules: GoldenSchedule[] = await golden('learning_rate.json');

interface GoldenSteps {
  schedule: LearningRateSchedule;
  /** Of each step. */
  rates: number[];
}

const stepSchedules: GoldenSteps[] = await golden('learning_rate_steps.json');

const rates = (schedule: MultiStepSchedule, epochs: number) =>
  Array.from({ length: epochs }, (_, epoch) => multiStepLearningRate(schedule, epoch));

describe('multiStepLearningRate', () => {
  // torch multiplies epoch after epoch, each product rounded.
  it.each(schedules)(
    'equals MultiStepLR of torch, milestones $schedule.milestones: $name',
    ({ schedule, rates: expected }) => {
      for (const [epoch, rate] of expected.entries()) {
        expect(Math.abs(multiStepLearningRate(schedule, epoch) - rate)).toBeLessThanOrEqual(1e-14 * rate);
      }
    },
  );

  // torch 2.13, MultiStepLR._get_closed_form_lr(), epochs 0, 1, ...
  it('equals the closed form of PyTorch', () => {
    const expected = [0.001, 0.001, 0.0001, 0.0001, 1.0000000000000003e-5, 1.0000000000000003e-5];
    expect(rates({ base: 0.001, milestones: [2, 4] }, 6)).toEqual(expected);
    expect(multiStepLearningRate({ base: 0.005, milestones: [30, 50], gamma: 0.1 }, 29)).toBe(0.005);
    expect(multiStepLearningRate({ base: 0.005, milestones: [30, 50], gamma: 0.1 }, 30)).toBe(0.0005);
    expect(multiStepLearningRate({ base: 0.005, milestones: [30, 50], gamma: 0.1 }, 50)).toBe(5.000000000000001e-5);
  });

  it('takes milestones in any order and counts a repeated one twice, as PyTorch does', () => {
    expect(rates({ base: 0.01, milestones: [3, 3, 1], gamma: 0.5 }, 5)).toEqual([0.01, 0.005, 0.005, 0.00125, 0.00125]);
  });

  it('is constant without milestones', () => {
    expect(rates({ base: 0.25, milestones: [] }, 3)).toEqual([0.25, 0.25, 0.25]);
  });

  it('refuses wrong arguments', () => {
    expect(() => multiStepLearningRate({ base: Number.NaN, milestones: [] }, 0)).toThrow(RangeError);
    expect(() => multiStepLearningRate({ base: 0, milestones: [] }, 0)).toThrow('number > 0 for base');
    expect(() => multiStepLearningRate({ base: 1, milestones: [1.5] }, 0)).toThrow('milestones');
    expect(() => multiStepLearningRate({ base: 1, milestones: [], gamma: -1 }, 0)).toThrow('gamma');
    expect(() => multiStepLearningRate({ base: 1, milestones: [] }, -1)).toThrow('epoch');
    expect(() => multiStepLearningRate({ base: 1, milestones: 5 as unknown as number[] }, 0)).toThrow(TypeError);
  });
});

describe('learningRateAt', () => {
  const plain: LearningRateSchedule = {
    ...{ name: 'multistep', base: 1, milestones: [2], gamma: 0.1, steps: 10, epochs: 4 },
    ...{ warmupSteps: 0, flatFraction: 0.5, finalFactor: 0 },
  };
  const at = (schedule: Partial<LearningRateSchedule>, step: number) => learningRateAt({ ...plain, ...schedule }, step);

  it.each(stepSchedules)(
    'equals SequentialLR of torch: $schedule.name, warm-up $schedule.warmupSteps',
    ({ schedule, rates: expected }) => {
      expect(expected).toHaveLength(schedule.steps * schedule.epochs);
      for (const [step, rate] of expected.entries()) {
        expect(Math.abs(learningRateAt(schedule, step) - rate)).toBeLessThanOrEqual(1e-12 * schedule.base);
      }
    },
  );

  it('multistep without warm-up is the rate of the epoch, bit for bit', () => {
    const schedule = { ...plain, base: 1e-4, milestones: [1, 3] };
    for (let step = 0; step < 40; step++) {
      expect(learningRateAt(schedule, step)).toBe(multiStepLearningRate(schedule, Math.floor(step / 10)));
    }
  });

  it('rises linearly from a thousandth in the warm-up, whatever follows', () => {
    for (const name of ['multistep', 'cosine', 'flat-cosine'] as const) {
      const rates = [0, 1, 2, 3, 4].map((step) => at({ name, milestones: [], warmupSteps: 4 }, step));
      for (const [i, rate] of [0.001, 0.25075, 0.5005, 0.75025, 1].entries()) expect(rates[i]).toBeCloseTo(rate, 12);
    }
  });

  it('a cosine is half way in the middle, and stays at its end', () => {
    expect(at({ name: 'cosine' }, 20)).toBeCloseTo(0.5, 12);
    expect(at({ name: 'cosine', finalFactor: 0.2 }, 20)).toBeCloseTo(0.6, 12);
    expect(at({ name: 'cosine', finalFactor: 0.2 }, 40)).toBeCloseTo(0.2, 12);
    expect(at({ name: 'cosine', finalFactor: 0.2 }, 400)).toBeCloseTo(0.2, 12);
    expect(at({ name: 'cosine', warmupSteps: 20 }, 30)).toBeCloseTo(0.5, 12);
  });

  it('flat-cosine is flat until its fraction of the steps, or the end of the warm-up', () => {
    expect([0, 5, 20].map((step) => at({ name: 'flat-cosine' }, step))).toEqual([1, 1, 1]);
    expect(at({ name: 'flat-cosine' }, 30)).toBeCloseTo(0.5, 12);
    expect(at({ name: 'flat-cosine', flatFraction: 0.1, warmupSteps: 20 }, 30)).toBeCloseTo(0.5, 12);
    expect(at({ name: 'flat-cosine', flatFraction: 1 }, 39)).toBe(1);
  });
});
