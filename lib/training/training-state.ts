import { join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import type { StepResult } from '../binding.ts';
import { corrupt } from '../detector/manifest.ts';
import { isRunData, type RunData } from './data-fingerprint.ts';
import type { RunCompute } from './run-compute.ts';
import type { ResolvedTrainerOptions, RunOptions } from './trainer-options.ts';

/** How far a run has come: everything beside weights and optimizer that going on needs. Plain JSON, kept in its checkpoints. */
export interface TrainingState {
  /** Epochs completed, their evaluation included. */
  epoch: number;
  /** Steps completed of the epoch that is under way. */
  step: number;
  /** Of the losses of these steps, and how many they are. */
  sums: { loss: number; boxLoss: number; classLoss: number; steps: number };
  /** The best mAP@0.5:0.95, 0 to 1, and its epoch; null before the first evaluation. */
  bestScore: number | null;
  bestEpoch: number | null;
  /** Images that its evaluation went without; absent if none. */
  bestMissing?: number;
  options: KeptOptions;
  /** What its numbers depend on beside the options. Checkpoints of earlier versions have none. */
  compute?: RunCompute;
  /** What it learns from. Checkpoints of earlier versions do not say. */
  data?: RunData;
  /** Of this library and of LibTorch; the same. */
  versions?: { library: string; libtorch: string };
}

/** The state of a run of today. */
export type RunState = TrainingState & Required<Pick<TrainingState, 'compute' | 'data' | 'versions'>>;

/** The options that a run was started with. Checkpoints of earlier versions have neither `epochs` nor `patience`. */
export type KeptOptions = RunOptions & { epochs?: number; patience?: number };

/** Means over the steps of an epoch. */
export interface MeanLosses {
  trainLoss: number;
  boxLoss: number;
  classLoss: number;
}

/** An epoch whose steps are all taken. */
export interface TrainedEpoch {
  /** The run's state after the last step: the score of the epoch is still missing in it. */
  state: TrainingState;
  losses: MeanLosses;
  /** When its first step began, by `performance.now()`. */
  began: number;
}

const zeroSums = () => ({ loss: 0, boxLoss: 0, classLoss: 0, steps: 0 });

/** What a checkpoint keeps of the options. */
export function keptOptions({ epochs, patience, run }: ResolvedTrainerOptions): KeptOptions {
  return { epochs, ...(patience !== undefined && { patience }), ...run };
}

export function freshState(options: KeptOptions): TrainingState {
  return { epoch: 0, step: 0, sums: zeroSums(), bestScore: null, bestEpoch: null, options };
}

/** Counts a step; `step` is its number in the epoch, which skips batches that could not be read. */
export function addStep(state: TrainingState, step: number, { loss, boxLoss, classLoss }: StepResult): void {
  const { sums } = state;
  state.step = step;
  state.sums = {
    loss: sums.loss + loss,
    boxLoss: sums.boxLoss + boxLoss,
    classLoss: sums.classLoss + classLoss,
    steps: sums.steps + 1,
  };
}

/** The means of the epoch's losses; throws `DATASET_EMPTY` when no batch could be read. */
export function meanLosses({ sums }: TrainingState): MeanLosses {
  const { loss, boxLoss, classLoss, steps } = sums;
  if (steps === 0) throw new DetectorError('DATASET_EMPTY', 'None of the training images could be read any more');
  return { trainLoss: loss / steps, boxLoss: boxLoss / steps, classLoss: classLoss / steps };
}

/** Goes on to the next epoch before this one has a score; returns the state at its end, which waits for it. */
export function nextEpoch(state: TrainingState): TrainingState {
  const trained = structuredClone(state);
  endSteps(state);
  return trained;
}

/**
 * Completes the epoch; returns whether it is the best so far: of those that were measured on the most images, the one of the highest score.
 * Where nothing is measured (a score below 0) it is the last one. `missing` images could not be read.
 */
export function finishEpoch(state: TrainingState, score: number, missing = 0): boolean {
  const { bestScore, bestMissing = 0 } = state;
  const isBetter = bestScore === null || score > bestScore || score < 0;
  const best = bestScore === null || missing < bestMissing || (missing === bestMissing && isBetter);
  endSteps(state);
  if (best) Object.assign(state, { bestScore: score, bestEpoch: state.epoch, bestMissing: missing || undefined });
  return best;
}

/** Which epoch is the best, as a state has it. */
export function bestOf({ bestScore, bestEpoch, bestMissing }: TrainingState) {
  return { bestScore, bestEpoch, bestMissing };
}

function endSteps(state: TrainingState): void {
  state.epoch += 1;
  state.step = 0;
  state.sums = zeroSums();
}

/** Whether so many epochs have gone by without a better score. */
export function isExhausted({ epoch, bestEpoch }: TrainingState, patience: number | undefined): boolean {
  return patience !== undefined && bestEpoch !== null && epoch - bestEpoch >= patience;
}

/** The state in the manifest of the checkpoint `dir`. @throws DetectorError `CHECKPOINT_CORRUPT` */
export function readTrainingState(dir: string, training: object): TrainingState {
  if (isTrainingState(training)) return training;
  throw corrupt(join(dir, 'checkpoint.json'), 'has a wrong "training"');
}

/** Whether a value that was read from a file has the shape of a state. */
export function isTrainingState(value: unknown): value is TrainingState {
  if (!isObject(value) || !isObject(value.sums) || !isObject(value.options)) return false;
  const { epoch, step, sums, bestScore, bestEpoch, bestMissing = 0, data } = value;
  const counts = [epoch, step, sums.steps, bestMissing, ...(bestEpoch === null ? [] : [bestEpoch])];
  if (data !== undefined && !isRunData(data)) return false;
  const numbers = [sums.loss, sums.boxLoss, sums.classLoss, ...(bestScore === null ? [] : [bestScore])];
  return (
    counts.every((count) => Number.isSafeInteger(count) && (count as number) >= 0) && numbers.every(Number.isFinite)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
