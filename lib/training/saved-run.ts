import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { withoutUndefined } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { type Checkpoint, openCheckpoint } from '../detector/checkpoint.ts';
import type { Detector } from '../detector/detector.ts';
import { describeFallback, LAST, PREVIOUS, putAside, useSound } from '../detector/history.ts';
import { describeModel } from '../detector/model-files.ts';
import { isDirectory } from '../files/atomic-file.ts';
import { checkDetectorConfig, readLearning } from '../model/config.ts';
import { dataChanges, dataOf } from './data-fingerprint.ts';
import type { RunClaim } from './run-claim.ts';
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
 * The run in `outDir`, which has to be one of this detector's model, in its precision. Where `last` is damaged, it is the one before it,
 * and the damaged one is put aside.
 * @throws DetectorError CHECKPOINT_NOT_FOUND, CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH, IN_USE
 */
export async function openSavedRun(
  detector: Detector,
  outDir: string,
  { claim, onWarning }: { claim: RunClaim; onWarning?: ((message: string) => void) | undefined },
): Promise<SavedRun> {
  const last = join(outDir, LAST);
  if (!(await isDirectory(outDir))) await openCheckpoint(last); // says that there is none, and makes no directory
  await claim.lock(outDir);
  const used = await useSound(last, openCheckpoint, [PREVIOUS]);
  const { path, result: checkpoint } = used;
  const run = readSavedRun(detector, path, checkpoint);
  if (used.damage) {
    const aside = await putAside(last);
    onWarning?.(`${describeFallback(used, checkpoint)}${aside ? `. The damaged one is ${aside}` : ''}`);
  }
  return run;
}

function readSavedRun(detector: Detector, path: string, checkpoint: Checkpoint): SavedRun {
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

/**
 * Compares the data of a run with those that it is to go on with. Returns what differs, in sentences.
 * @throws DetectorError CHECKPOINT_MISMATCH for a difference, unless it is allowed
 */
export async function checkSameData({ path, state }: SavedRun, options: ResolvedTrainerOptions): Promise<string[]> {
  if (!state.data) return [];
  const changes = dataChanges(state.data, await dataOf(options));
  if (changes.length === 0) return [];
  const what = `its data set has changed since: ${changes.join('; ')}`;
  if (options.allowChangedData) return [`${path}: ${what}. The numbers of the run are others from here on`];
  throw mismatch(path, what, 'Resume with the same data, or allow others with allowChangedData (--allow-changed-data)');
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
