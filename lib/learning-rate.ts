import { checkInteger, checkNumber, checkPositive, wrongArgument } from './check.ts';

export interface MultiStepSchedule {
  /** The learning rate of the first epoch. */
  base: number;
  /** Epochs, counted from 0, from which on the rate is one factor lower; in any order, a repeated one counts twice. */
  milestones: readonly number[];
  /** Default 0.1. */
  gamma?: number;
}

/**
 * The learning rate of an epoch (counted from 0) as `torch.optim.lr_scheduler.MultiStepLR` sets it:
 * `base * gamma ** (number of milestones <= epoch)`, PyTorch's closed form.
 * It depends on nothing but its arguments, so a resumed run needs no scheduler state.
 */
export function multiStepLearningRate(schedule: MultiStepSchedule, epoch: number): number {
  const { base, milestones, gamma = 0.1 } = schedule;
  checkPositive('base', base);
  checkNumber('gamma', gamma, 0);
  checkInteger('epoch', epoch, 0);
  if (!Array.isArray(milestones)) throw new TypeError(wrongArgument('milestones', 'array of integers', milestones));
  for (const milestone of milestones) checkInteger('milestones', milestone, 0);
  const passed = milestones.filter((milestone) => milestone <= epoch).length;
  return base * gamma ** passed;
}
