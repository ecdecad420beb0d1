import { resolve } from '../base/option.ts';
import { defaultPreset, presetConfig } from '../model/config.ts';
import { type LearningOptions, readEarlierLoss } from '../model/loss-options.ts';
import { checkComputeOptions } from './compute-options.ts';
import { createTable, type DetectorOptions } from './detector-options.ts';
import type { CreateOptions } from './weights-metadata.ts';

/** What `create` makes of its options before it makes a model. */
export async function resolveOptions(options: DetectorOptions) {
  const own = resolve(createTable, options);
  const { withFileModel } = await import('./weights-metadata.ts');
  const { learning, fileClasses, ...given } = await withFileModel(own);
  const { backbone = 'convnext_tiny', imageSize = { width: 640, height: 640 } } = given;
  const name = typeof backbone === 'string' ? backbone : 'torchscript';
  return {
    backbone,
    classes: own.classes,
    config: presetConfig(given.preset ?? defaultPreset, name, imageSize, given),
    compute: checkComputeOptions(own),
    seed: own.seed,
    weights: own.weights,
    trusted: own.trustTorchScript,
    fileClasses,
    learning: { ...learning, ...learningOf(given) },
  };
}

/** What a run with this detector is to learn from, as `create` was told once. */
function learningOf({ loss, assigner }: Pick<CreateOptions, 'loss' | 'assigner'>): LearningOptions {
  return { ...(loss && readEarlierLoss('loss', loss)), ...(assigner && { assigner }) };
}
