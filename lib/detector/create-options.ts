import { checkBoolean, checkInteger, checkKeys, checkOneOf, checkString } from '../base/check.ts';
import { checkClasses } from '../model/class-list.ts';
import { type BackboneName, backboneNames, defaultPreset, presetConfig, withChoices } from '../model/config.ts';
import { checkComputeOptions, computeKeys } from './compute-options.ts';
import type { DetectorOptions } from './detector-options.ts';

const createKeys = [
  'classes',
  'preset',
  'backbone',
  'imageSize',
  'head',
  'features',
  'fusion',
  'defaultBoxes',
  'loss',
  'assigner',
  'nms',
  'weights',
  'seed',
  'trustTorchScript',
];

/** What `create` makes of its options before it makes a model. */
export async function resolveOptions(options: DetectorOptions) {
  const own = checkKeys('options', options, [...createKeys, ...computeKeys]) as unknown as DetectorOptions;
  const classes = checkClasses('classes', own.classes);
  const weights = own.weights === undefined ? undefined : checkString('weights', own.weights);
  const { withFileModel } = await import('./weights-metadata.ts');
  const given = await withFileModel(own);
  const backbone = checkBackbone(given.backbone ?? 'convnext_tiny');
  const name = typeof backbone === 'string' ? backbone : 'torchscript';
  const size = given.imageSize ?? { width: 640, height: 640 };
  return {
    backbone,
    classes,
    config: withChoices(presetConfig(given.preset ?? defaultPreset, name, size, given), given),
    compute: checkComputeOptions(given),
    seed: checkInteger('seed', given.seed ?? 42, 0),
    weights,
    trusted: checkBoolean('trustTorchScript', given.trustTorchScript ?? false),
  };
}

function checkBackbone(value: unknown): BackboneName | { torchscript: string } {
  if (typeof value === 'string') return checkOneOf('backbone', value, backboneNames);
  const { torchscript } = checkKeys('backbone', value, ['torchscript']);
  return { torchscript: checkString('backbone.torchscript', torchscript) };
}
