import { checkInteger, checkNumber, checkObject, checkPositive, checkSequence } from '../base/check.ts';

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
  const { base, milestones, gamma = 0.1 } = checkObject('schedule', schedule);
  checkPositive('base', base);
  checkNumber('gamma', gamma, 0);
  checkInteger('epoch', epoch, 0);
  checkSequence('milestones', milestones, 0, 1e6, 'array of integers');
  for (const milestone of milestones) checkInteger('milestones', milestone, 0);
  const passed = milestones.filter((milestone) => milestone <= epoch).length;
  return base * gamma ** passed;
}

/** The schedules of the learning rate: it falls at given epochs, over the whole run, or after a part of it. */
export const scheduleNames = ['multistep', 'cosine', 'flat-cosine'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

/** The learning rate of a whole run, in optimizer steps. */
export interface LearningRateSchedule extends MultiStepSchedule {
  name: ScheduleName;
  /** Of an epoch. */
  steps: number;
  epochs: number;
  /** Steps at the beginning in which the rate rises linearly, from `WARMUP_START` of what it would be. */
  warmupSteps: number;
  /** `flat-cosine`: the share of all steps, warm-up included, before the rate falls. */
  flatFraction: number;
  /** The cosine's end, as a share of `base`. */
  finalFactor: number;
}

/** Where a warm-up begins: torchvision's detection references (warmup_factor = 1 / 1000). */
export const WARMUP_START = 1e-3;

/**
 * The learning rate of a step of the run (from 0; what comes after the last step has its end), in the closed form of
 * `torch.optim.lr_scheduler`: LinearLR for the warm-up, then
 * - `multistep`: MultiStepLR by epochs, each step of an epoch alike;
 * - `cosine`: CosineAnnealingLR over all steps after the warm-up (SGDR, Loshchilov and Hutter 2017);
 * - `flat-cosine`: `base`, and the cosine over the steps after `flatFraction` of them (as RTMDet, Lyu et al. 2022).
 */
export function learningRateAt(schedule: LearningRateSchedule, step: number): number {
  const { steps, warmupSteps } = schedule;
  const rate =
    schedule.name === 'multistep' ? multiStepLearningRate(schedule, Math.floor(step / steps)) : cosine(schedule, step);
  return step < warmupSteps ? rate * (WARMUP_START + ((1 - WARMUP_START) * step) / warmupSteps) : rate;
}

function cosine(
  { name, base, steps, epochs, warmupSteps, flatFraction, finalFactor }: LearningRateSchedule,
  step: number,
) {
  const total = steps * epochs;
  const flat = name === 'flat-cosine' ? Math.max(warmupSteps, Math.round(flatFraction * total)) : warmupSteps;
  const done = Math.min(1, Math.max(0, (step - flat) / Math.max(1, total - flat)));
  return base * (finalFactor + ((1 - finalFactor) * (1 + Math.cos(Math.PI * done))) / 2);
}
