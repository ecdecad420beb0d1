import { describe, expect, it } from 'vitest';
import { type MultiStepSchedule, multiStepLearningRate } from '../../lib/learning-rate.ts';
import { golden } from '../support/shared.ts';

interface GoldenSchedule {
  name: string;
  schedule: MultiStepSchedule;
  /** Of each epoch. */
  rates: number[];
}

const schedules: GoldenSchedule[] = await golden('learning_rate.json');

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
