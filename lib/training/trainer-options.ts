import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  checkString,
  withoutUndefined,
  wrongArgument,
} from '../base/check.ts';
import {
  type Augmentation,
  type AugmentationName,
  type AugmentationOptions,
  resolveAugmentation,
} from '../data/augment/options.ts';
import { VocDataset } from '../data/voc-dataset.ts';
import { defaultPreset, type PresetName } from '../model/config.ts';
import { type LearningRateSchedule, type ScheduleName, scheduleNames } from './learning-rate.ts';
import { trainingDefaults } from './training-defaults.ts';

/** torch.optim's AdamW, and SGD with momentum .9 and Nesterov. */
const optimizerNames = ['adamw', 'sgd'] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/**
 * Of a training. Defaults are the article's; those of the preset `best` are named where they differ (training-defaults.ts). What makes
 * no sense together is refused.
 */
export interface TrainerOptions {
  /** What is learned from; its classes are the detector's. */
  train: VocDataset;
  /** Evaluated after each epoch; its mAP@.5:.95 chooses the best checkpoint. */
  valid: VocDataset;
  /** Where checkpoints, metrics and plots go; made if it is missing. */
  outDir: string;
  /** Times that every training picture is shown; default 20. */
  epochs?: number;
  /** Pictures that go through the model together; default 8. */
  batchSize?: number;
  /** Of the head, and of all else that has no factor of its own; default 1e-4; `best`: 1e-3. */
  learningRate?: number;
  /**
   * How the learning rate falls: `multistep` (default; at `milestones`), `cosine` (over all steps), or `flat-cosine` (from
   * `flatFraction` of the steps on). See `learningRateAt`. A resumed run has the same schedule if it has the same `epochs`.
   */
  schedule?: ScheduleName;
  /**
   * Optimizer steps at the begin in which the learning rate rises linearly from a thousandth; default 0; `best`: a twentieth of the run,
   * 500 at most.
   */
  warmupSteps?: number;
  /** Epochs after which the learning rate falls by `gamma`, for `multistep`; default [15]; `best`: three quarters of `epochs`. */
  milestones?: readonly number[];
  /** What `milestones` multiply the learning rate by; default .1. */
  gamma?: number;
  /** For `flat-cosine`: the share of the steps before the learning rate falls; default .5, as RTMDet (Lyu et al. 2022). */
  flatFraction?: number;
  /** Where a cosine ends, as a share of `learningRate`; default 0. */
  finalLearningRateFactor?: number;
  /** `adamw` (default) or `sgd` (momentum .9, Nesterov). */
  optimizer?: OptimizerName;
  /** Default .01 for `adamw` (decoupled), 0 for `sgd` (as a part of the gradient): torch.optim's. */
  weightDecay?: number;
  /** No weight decay of biases, norms and layer scales, as ConvNeXt (Liu et al. 2022); default false, it holds for all. */
  decayWeightsOnly?: boolean;
  /** Train the backbone too; default false, the head alone; `best`: true. */
  fineTune?: boolean;
  /** Of `learningRate`, for the backbone; default 1; `best`: .1 for a backbone with weights from a file. */
  backboneLearningRateFactor?: number;
  /**
   * Of the learning rate, from each layer of a ConvNeXt to the one before it; default 1. ConvNeXt's detectors have .7 to .95, with
   * layers as there (three blocks of the third stage are one).
   */
  layerDecay?: number;
  /**
   * Batches that go through the model one after the other for one optimizer step; default 1. A step then sees
   * `accumulate * batchSize` pictures with the memory of `batchSize`. Its loss is that of one large batch: the SSD loss is a mean over
   * the matched default boxes, so each part counts as often as it has such boxes, and the sum is divided by those of all parts.
   */
  accumulate?: number;
  /**
   * Decay per step of a moving average of the weights, as timm's ModelEmaV2 (.9998 is usual for long runs, .99 for a few hundred
   * steps; it warms up as min(ema, (1 + n) / (10 + n))). The average is what is evaluated and saved, and in the detector; `last` has
   * the trained weights beside it. Default: none.
   */
  ema?: number;
  /**
   * Stochastic depth (Huang et al. 2016): rate, below 1, at which the last block of a ConvNeXt is skipped for a picture; it rises
   * linearly from 0 in the first block. ConvNeXt-T has .1 for ImageNet and .4 for detection. Default 0.
   */
  dropPath?: number;
  /** Stop after so many epochs without a better score on `valid`; default never. */
  patience?: number;
  /** Probability of a horizontal flip; default .5. */
  flipProbability?: number;
  /** What else is done to the training pictures; default `none`. `ssd` is torchvision's for SSD. */
  augmentation?: AugmentationName | AugmentationOptions;
  /** The largest L2 norm of all gradients together; default none; `best`: 10. */
  clipGradNorm?: number;
  /** Pictures decoded at the same time; default 2. */
  workers?: number;
  /**
   * Evaluate and save an epoch while the next one is trained, on a copy of the weights and of the optimizer's state that is freed
   * afterwards. Results and files are the same. Default: on a GPU, which would wait for pictures, scores and files; not on a CPU, where
   * both share the cores. An epoch whose evaluation may end the run (`patience`), and the last one, are evaluated alone, and so is
   * every one when there is no memory for a copy.
   */
  overlapEvaluation?: boolean;
  /** Of the order, the flips and all that is random in training; default 42. */
  seed?: number;
  /** Go on from `outDir/last`, as if never interrupted, with its options where none are given. Default false. */
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
  // These are there only when they were given.
  schedule?: ScheduleName;
  warmupSteps?: number;
  flatFraction?: number;
  finalLearningRateFactor?: number;
  weightDecay?: number;
  decayWeightsOnly?: boolean;
  backboneLearningRateFactor?: number;
  layerDecay?: number;
  accumulate?: number;
  ema?: number;
  dropPath?: number;
}

export interface ResolvedTrainerOptions {
  train: VocDataset;
  valid: VocDataset;
  outDir: string;
  epochs: number;
  workers: number;
  resume: boolean;
  /** Absent: never stop early. */
  patience?: number;
  /** Absent: as the device has it. */
  overlapEvaluation?: boolean;
  run: RunOptions;
}

/** What checks each option that has no value of its own unless it is given. */
const optional = {
  schedule: (name, value) => checkOneOf(name, value, scheduleNames),
  warmupSteps: (name, value) => checkInteger(name, value, 0, 1e9),
  flatFraction: (name, value) => checkNumber(name, value, 0, 1),
  finalLearningRateFactor: (name, value) => checkNumber(name, value, 0, 1),
  weightDecay: (name, value) => checkNumber(name, value, 0, 1e6),
  decayWeightsOnly: checkBoolean,
  backboneLearningRateFactor: (name, value) => checkNumber(name, value, 0, 1e6),
  layerDecay: (name, value) => checkNumber(name, value, 0, 1),
  accumulate: (name, value) => checkInteger(name, value, 1, 1024),
  ema: (name, value) => checkNumber(name, value, 0, 1 - 1e-9),
  dropPath: (name, value) => checkNumber(name, value, 0, 0.99),
} satisfies Record<string, (name: string, value: unknown) => unknown>;

type Optional = keyof typeof optional;
const optionalKeys = Object.keys(optional) as Optional[];

const keys = [
  ...[
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
  ],
  ...['flipProbability', 'augmentation', 'clipGradNorm', 'workers', 'seed', 'resume', 'patience', 'overlapEvaluation'],
  ...optionalKeys,
];

/**
 * Checks every option and fills in the defaults, the preset's among them; throws `TypeError` or `RangeError` naming the option, also
 * for one that makes no sense beside the others.
 */
export function resolveTrainerOptions(
  value: TrainerOptions,
  preset: PresetName = defaultPreset,
  pretrained = false,
): ResolvedTrainerOptions {
  const options = checkKeys('options', value, keys) as unknown as TrainerOptions;
  const train = checkDataset('train', options.train);
  const resolved: ResolvedTrainerOptions = {
    train,
    valid: checkDataset('valid', options.valid),
    outDir: checkString('outDir', options.outDir),
    ...resolveRun(options, { preset, pretrained, images: train.length }),
  };
  checkWithData(resolved);
  return resolved;
}

type WithoutData = Omit<TrainerOptions, 'train' | 'valid' | 'outDir'>;

/** What a run is about. */
interface RunSubject {
  preset: PresetName;
  /** The backbone has weights from a file. */
  pretrained: boolean;
  /** For training; default: many. */
  images?: number;
}

/** The same of all that needs no data. */
export function resolveRun(
  given: WithoutData,
  subject: RunSubject,
): Omit<ResolvedTrainerOptions, 'train' | 'valid' | 'outDir'> {
  const options = { ...presetDefaults(given, subject), ...withoutUndefined(given) };
  const augmentation = resolveAugmentation('augmentation', options.augmentation ?? 'none');
  const own = optionalKeys.filter((key) => options[key] !== undefined);
  const resolved = {
    epochs: checkInteger('epochs', options.epochs ?? 20, 1),
    workers: checkInteger('workers', options.workers ?? 2, 1, 256),
    resume: checkBoolean('resume', options.resume ?? false),
    ...(options.patience !== undefined && { patience: checkInteger('patience', options.patience, 1) }),
    ...(options.overlapEvaluation !== undefined && {
      overlapEvaluation: checkBoolean('overlapEvaluation', options.overlapEvaluation),
    }),
    run: {
      batchSize: checkInteger('batchSize', options.batchSize ?? 8, 1, 1024),
      learningRate: checkPositive('learningRate', options.learningRate),
      milestones: checkMilestones(options.milestones),
      gamma: checkPositive('gamma', options.gamma ?? 0.1),
      optimizer: checkOneOf('optimizer', options.optimizer ?? 'adamw', optimizerNames),
      fineTune: checkBoolean('fineTune', options.fineTune),
      flipProbability: checkNumber('flipProbability', options.flipProbability ?? 0.5, 0, 1),
      ...(augmentation && { augmentation }),
      clipGradNorm: options.clipGradNorm === undefined ? null : checkPositive('clipGradNorm', options.clipGradNorm),
      seed: checkInteger('seed', options.seed ?? 42, 0),
      ...Object.fromEntries(own.map((key) => [key, optional[key](key, options[key])])),
    },
  };
  checkTogether(resolved, given.milestones !== undefined && !resolved.resume);
  return resolved;
}

/** What the preset has for options that were not given. */
function presetDefaults(given: WithoutData, { preset, pretrained, images = Number.POSITIVE_INFINITY }: RunSubject) {
  const { epochs = 20, batchSize = 8, accumulate = 1, fineTune = trainingDefaults[preset].fineTune } = given;
  const steps = epochs * stepsOfEpoch(images, batchSize * accumulate);
  const { milestones, ...defaults } = trainingDefaults[preset].options({ epochs, steps, fineTune, pretrained });
  return { fineTune, ...defaults, milestones: (given.schedule ?? 'multistep') === 'multistep' ? milestones : [] };
}

function stepsOfEpoch(images: number, imagesOfStep: number): number {
  return Math.ceil(images / imagesOfStep);
}

/** The schedule of a run. */
export function scheduleOf({ train, epochs, run }: ResolvedTrainerOptions): LearningRateSchedule {
  return {
    name: run.schedule ?? 'multistep',
    base: run.learningRate,
    milestones: run.milestones,
    gamma: run.gamma,
    steps: stepsOfEpoch(train.length, run.batchSize * (run.accumulate ?? 1)),
    epochs,
    warmupSteps: run.warmupSteps ?? 0,
    flatFraction: run.flatFraction ?? 0.5,
    finalFactor: run.finalLearningRateFactor ?? 0,
  };
}

function refuseIf(wrong: boolean, message: string): void {
  if (wrong) throw new RangeError(message);
}

/** Throws `RangeError` for options that exclude each other. */
function checkTogether({ epochs, run }: Pick<ResolvedTrainerOptions, 'epochs' | 'run'>, ownMilestones: boolean): void {
  const name = run.schedule ?? 'multistep';
  const late = run.milestones.filter((milestone) => milestone > epochs);
  refuseIf(
    ownMilestones && late.length > 0,
    `milestones past the end: ${late.join(', ')} of ${epochs} epochs; leave them out or train for more epochs`,
  );
  const [cosine, flat] = [name !== 'multistep', name === 'flat-cosine'];
  refuseIf(
    cosine && run.milestones.length > 0,
    `milestones belong to the schedule multistep, and this one is ${name}; leave one of them out`,
  );
  refuseIf(
    (!flat && run.flatFraction !== undefined) || (!cosine && run.finalLearningRateFactor !== undefined),
    `flatFraction belongs to the schedule flat-cosine and finalLearningRateFactor to cosine and flat-cosine, but the schedule is ${name}`,
  );
  for (const key of ['backboneLearningRateFactor', 'layerDecay', 'dropPath'] as const) {
    refuseIf(
      run[key] !== undefined && !run.fineTune,
      `${key} is about the training of the backbone, which is frozen; add fineTune (--fine-tune) or leave ${key} out`,
    );
  }
}

/** The same for options that the data exclude. */
function checkWithData(resolved: ResolvedTrainerOptions): void {
  const { epochs, patience, valid, resume } = resolved;
  const { steps, warmupSteps } = scheduleOf(resolved);
  const total = steps * epochs;
  refuseIf(
    warmupSteps >= total && !resume, // which may end a run early
    `warmupSteps (${warmupSteps}) leave nothing of the run, which has ${total} steps (${epochs} x ${steps}): ` +
      'shorten the warm-up or train for more epochs',
  );
  refuseIf(
    patience !== undefined && !valid.samples.some(({ objects }) => objects.length > 0),
    'patience needs a score to wait for, but no picture of valid has an object; give other validation data or leave patience out',
  );
}

function checkDataset(name: string, value: unknown): VocDataset {
  if (value instanceof VocDataset) return value;
  throw new TypeError(wrongArgument(name, 'VocDataset', value));
}

function checkMilestones(value: unknown): number[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument('milestones', 'array of epochs', value));
  return value.map((epoch, i) => checkInteger(`milestones[${i}]`, epoch, 1, 1e6));
}
