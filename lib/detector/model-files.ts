import { writeFile } from 'node:fs/promises';
import { DetectorError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { checkClasses, withBackground } from '../model/class-list.ts';
import { checkDetectorConfig, type DetectorConfig, readLearning } from '../model/config.ts';
import { type LearningOptions, readRunLearning } from '../model/loss-options.ts';
import { internalsOf } from './detector-internals.ts';
import type { CheckpointContent, CheckpointManifest } from './manifest.ts';
import { writeState } from './model-state.ts';

/** What a checkpoint says of its model; a `Detector` has it. */
export interface ModelDescription {
  classes: readonly string[];
  config: DetectorConfig;
}

/** The part of a manifest that describes the model. Its class list has the background first, as that of every version. */
export function describeModel({ classes, config }: ModelDescription): CheckpointContent {
  return { createdBy: `dinov3-det ${version}`, classes: withBackground(classes), model: { ...config } };
}

/** The model that a manifest describes, and what its training learned from. @throws {DetectorError} `CHECKPOINT_CORRUPT` */
export function readModel(dir: string, manifest: CheckpointManifest): ModelDescription & { learning: LearningOptions } {
  try {
    return {
      config: checkDetectorConfig(manifest.model),
      classes: checkClasses('classes', manifest.classes),
      learning: { ...readLearning(manifest.model), ...readRunLearning(manifest.training?.options) },
    };
  } catch (error) {
    throw new DetectorError('CHECKPOINT_CORRUPT', `The manifest of ${dir} is not valid: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What writes each file of a checkpoint of this detector. */
export function filesOf(detector: object): Record<string, (path: string) => Promise<void>> {
  const { addon, handle, torchscript } = internalsOf(detector);
  return {
    'model.safetensors': (path) => writeState(addon, handle, 'model', path),
    ...(torchscript && { 'backbone.torchscript': (path: string) => writeFile(path, torchscript) }),
  };
}
