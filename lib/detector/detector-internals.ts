import { wrongArgument } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import type { DetectorHandle, NativeAddon } from '../binding.ts';
import type { LearningOptions } from '../model/loss-options.ts';
import type { DetectorOptions } from './detector-options.ts';

/** What Trainer, Evaluator and export need of a detector; not part of the public interface. */
export interface DetectorInternals {
  addon: NativeAddon;
  handle: DetectorHandle;
  /** The archive of a TorchScript backbone, which is a part of its checkpoints. */
  torchscript?: Buffer | undefined;
  /** What the checkpoint says that the detector was loaded from, or 0. */
  trainedEpochs: number;
  /** Whether the backbone began with weights from a file. */
  pretrained: boolean;
  /** What a run with it learns from, unless it is told otherwise: as its checkpoint was trained, or as `create` was told. */
  learning: LearningOptions;
  /** The files that it was made from. */
  origin: Pick<DetectorOptions, 'weights' | 'backbone'>;
}

/** By detector; `null` for one that was given up. */
const internals = new WeakMap<object, DetectorInternals | null>();

export function keepInternals(detector: object, own: DetectorInternals): void {
  internals.set(detector, own);
}

/** @throws {DetectorError} `DISPOSED` for a detector that was given up; `TypeError` for anything else than a detector */
export function internalsOf(detector: object): DetectorInternals {
  const found = internals.get(detector);
  if (found) return found;
  if (found === undefined) throw new TypeError(wrongArgument('detector', 'Detector', detector));
  throw new DetectorError('DISPOSED', 'The Detector was used after dispose(); create or load another');
}

/** The last answer for this detector; none when it was given up before. */
export function takeInternals(detector: object): DetectorInternals | undefined {
  const own = internals.get(detector) ?? undefined;
  internals.set(detector, null);
  return own;
}
