import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { withoutUndefined } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { type Checkpoint, openCheckpoint } from '../detector/checkpoint.ts';
import type { Detector } from '../detector/detector.ts';
import { describeModel } from '../detector/model-files.ts';
import { checkDetectorConfig, readLearning } from '../model/config.ts';
import type { ResolvedTrainerOptions, TrainerOptions } from './trainer-options.ts';
import { readTrainingState, type TrainingState } from './training-state.ts';

/** A run in its checkpoint, to go on with. */
export interface SavedRun {
  /** Directory of the checkpoint. */
  path: string;
  checkpoint: Checkpoint;
  state: TrainingState;
}

/**
 * The run in `outDir`, which has to be one of this detector's model, in its precision.
 * @throws DetectorError CHECKPOINT_NOT_FOUND, CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH
 */
export async function openSavedRun(detector: Detector, outDir: string): Promise<SavedRun> {
  const path = join(outDir, 'last');
  const checkpoint = await openCheckpoint(path);
  const { classes, model, training } = checkpoint.manifest;
  const current = describeModel(detector);
  const load = () => `Load the detector with Detector.load(${JSON.stringify(path)}, { asTrained: true })`;
  checkSame(path, 'classes', classes, current.classes, load);
  checkSame(path, 'model', checkDetectorConfig(model), current.model, load);
  if (!training) throw mismatch(path, 'it was not written by a training run', 'Start a new run');
  const saved = readTrainingState(path, training);
  // A run of an earlier version has what it learned from in the configuration of its model.
  const state = { ...saved, options: { ...readLearning(model), ...saved.options } };
  const { precision = detector.precision } = state.compute ?? {};
  if (precision !== detector.precision) {
    const what = `its run computes in ${precision}, and the detector in ${detector.precision}`;
    throw mismatch(path, what, `${load()}, or leave precision (--precision) out`);
  }
  return { path, checkpoint, state };
}

/**
 * The options that the run was started with, and over them those that are given. Only what leaves its numbers alone may differ, and when
 * it ends; `resolve` checks all options and adds those that no checkpoint keeps.
 * @throws DetectorError CHECKPOINT_MISMATCH
 */
export function resumedOptions(
  { path, state }: SavedRun,
  given: TrainerOptions,
  resolve: (options: TrainerOptions) => ResolvedTrainerOptions,
): ResolvedTrainerOptions {
  const { epochs: _, patience: __, ...run } = state.options;
  const resolved = orMismatch(path, () => resolve({ ...state.options, ...withoutUndefined(given) }));
  checkSame(path, 'options', run, resolved.run, (key) => `Leave ${key} out, or start a new run in another directory`);
  return resolved;
}

function orMismatch<T>(path: string, resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    throw mismatch(path, messageOf(error), 'Resume with the options that the run was started with, or start a new run');
  }
}

function checkSame(path: string, what: string, found: object, expected: object, remedy: (key: string) => string): void {
  if (isDeepStrictEqual(found, expected)) return;
  const [before, now] = [found, expected] as [Record<string, unknown>, Record<string, unknown>];
  const key = Object.keys({ ...now, ...before }).find((key) => !isDeepStrictEqual(before[key], now[key]))!;
  const [old, value] = [before[key], now[key]].map((value) => JSON.stringify(value));
  throw mismatch(path, `its ${what} differ: ${key} was ${old} and is now ${value}`, remedy(key));
}

function mismatch(path: string, what: string, remedy: string): DetectorError {
  return new DetectorError('CHECKPOINT_MISMATCH', `${path} cannot be resumed: ${what}. ${remedy}`);
}
