import {
  type Augmentation,
  type AugmentationName,
  type AugmentationOptions,
  resolveAugmentation,
} from './augment/options.ts';
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  checkString,
  wrongArgument,
} from './check.ts';
import { VocDataset } from './voc-dataset.ts';

const optimizerNames = ['adamw', 'sgd'] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/** Defaults are the article's. */
export interface TrainerOptions {
  train: VocDataset;
  /** Evaluated after each epoch; its mAP@.5:.95 chooses the best checkpoint. */
  valid: VocDataset;
  /** Where checkpoints, metrics and plots go; made if it is missing. */
  outDir: string;
  /** Default 20. */
  epochs?: number;
  /** Default 8. */
  batchSize?: number;
  /** Default 1e-4. */
  learningRate?: number;
  /** Epochs after which the learning rate falls by `gamma`; default [15]. */
  milestones?: readonly number[];
  /** Default .1. */
  gamma?: number;
  /** `adamw` (default; weight decay .01) or `sgd` (momentum .9, Nesterov). */
  optimizer?: OptimizerName;
  /** Train the backbone too; default false, the head alone. */
  fineTune?: boolean;
  /** Of a horizontal flip; default .5. */
  flipProbability?: number;
  /** What else is done to the training pictures; default `none`. `ssd` is torchvision's for SSD. */
  augmentation?: AugmentationName | AugmentationOptions;
  /** The largest L2 norm of all gradients together; default none. */
  clipGradNorm?: number;
  /** Pictures decoded at the same time; default 2. */
  workers?: number;
  /** Of the order and the flips; default 42. */
  seed?: number;
  /** Go on from `outDir/last`, as if never interrupted. Default false. */
  resume?: boolean;
}

/** The options that make a run what it is: kept in its checkpoints, and the same when it is resumed. */
export interface RunOptions {
  batchSize: number;
  learningRate: number;
  milestones: number[];
  gamma: number;
  optimizer: OptimizerName;
  fineTune: boolean;
  flipProbability: number;
  /** Complete; not there in a run without. */
  augmentation?: Augmentation;
  clipGradNorm: number | null;
  seed: number;
}

export interface ResolvedTrainerOptions {
  train: VocDataset;
  valid: VocDataset;
  outDir: string;
  epochs: number;
  workers: number;
  resume: boolean;
  run: RunOptions;
}

const keys = [
  'train',
  'valid',
  'outDir',
  'epochs',
  'batchSize',
  'learningRate',
  'milestones',
  'gamma',
  'optimizer',
  'fineTune',
  'flipProbability',
  'augmentation',
  'clipGradNorm',
  'workers',
  'seed',
  'resume',
];

/** Checks every option and fills in the defaults; throws `TypeError` or `RangeError` naming the option. */
export function resolveTrainerOptions(value: TrainerOptions): ResolvedTrainerOptions {
  const options = checkKeys('options', value, keys) as unknown as TrainerOptions;
  const augmentation = resolveAugmentation('augmentation', options.augmentation ?? 'none');
  return {
    train: checkDataset('train', options.train),
    valid: checkDataset('valid', options.valid),
    outDir: checkString('outDir', options.outDir),
    epochs: checkInteger('epochs', options.epochs ?? 20, 1),
    workers: checkInteger('workers', options.workers ?? 2, 1, 256),
    resume: checkBoolean('resume', options.resume ?? false),
    run: {
      batchSize: checkInteger('batchSize', options.batchSize ?? 8, 1, 1024),
      learningRate: checkPositive('learningRate', options.learningRate ?? 1e-4),
      milestones: checkMilestones(options.milestones ?? [15]),
      gamma: checkPositive('gamma', options.gamma ?? 0.1),
      optimizer: checkOneOf('optimizer', options.optimizer ?? 'adamw', optimizerNames),
      fineTune: checkBoolean('fineTune', options.fineTune ?? false),
      flipProbability: checkNumber('flipProbability', options.flipProbability ?? 0.5, 0, 1),
      ...(augmentation && { augmentation }),
      clipGradNorm: options.clipGradNorm === undefined ? null : checkPositive('clipGradNorm', options.clipGradNorm),
      seed: checkInteger('seed', options.seed ?? 42, 0),
    },
  };
}

function checkDataset(name: string, value: unknown): VocDataset {
  if (value instanceof VocDataset) return value;
  throw new TypeError(wrongArgument(name, 'VocDataset', value));
}

function checkMilestones(value: unknown): number[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument('milestones', 'array of epochs', value));
  return value.map((epoch, i) => checkInteger(`milestones[${i}]`, epoch, 1, 1e6));
}
