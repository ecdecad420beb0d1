import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { DetectorError } from '../base/errors.ts';
import { type Checkpoint, openCheckpoint } from '../detector/checkpoint.ts';
import { type Detector, describeModel } from '../detector/detector.ts';
import { readTrainingState, type TrainingState } from './training-state.ts';

/** A run in its checkpoint, to go on with. */
export interface SavedRun {
  /** Directory of the checkpoint. */
  path: string;
  checkpoint: Checkpoint;
  state: TrainingState;
}

/**
 * The run in `outDir`, which has to be one of this detector's model.
 * @throws DetectorError CHECKPOINT_NOT_FOUND, CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH
 */
export async function openSavedRun(detector: Detector, outDir: string): Promise<SavedRun> {
  const path = join(outDir, 'last');
  const checkpoint = await openCheckpoint(path);
  const { classes, model, training } = checkpoint.manifest;
  const current = describeModel(detector);
  checkSame(path, 'classes', classes, current.classes);
  checkSame(path, 'model', model, current.model);
  if (!training) throw mismatch(path, 'it was not written by a training run');
  return { path, checkpoint, state: readTrainingState(path, training) };
}

export function checkSame(path: string, what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  const [before, now] = [found, expected] as [Record<string, unknown>, Record<string, unknown>];
  const key = Object.keys({ ...now, ...before }).find((key) => !isDeepStrictEqual(before[key], now[key]))!;
  const [old, value] = [before[key], now[key]].map((value) => JSON.stringify(value));
  throw mismatch(path, `its ${what} differ: ${key} was ${old} and is now ${value}`);
}

export function mismatch(path: string, what: string): DetectorError {
  const remedy = 'Resume with the options that the run was started with, or start a new one';
  return new DetectorError('CHECKPOINT_MISMATCH', `${path} cannot be resumed: ${what}. ${remedy}`);
}
