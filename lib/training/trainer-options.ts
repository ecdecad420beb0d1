import { boolean, choice, integer, kind, list, number, object, positive, text } from '../base/kinds.ts';
import { type Computed, type Given, type Kept, option, type Resolved } from '../base/option.ts';
import { type Range, range } from '../data/augment/kinds.ts';
import {
  type Augmentation,
  type AugmentationName,
  type AugmentationOptions,
  augmentationNames,
  augmentationSchema,
  resolveAugmentation,
} from '../data/augment/options.ts';
import { checkDataset } from '../data/check-dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { type LearningChoice, type LearningOptions, learningTable, type Scores } from '../model/loss-options.ts';
import { classWeightsKind } from './class-weights.ts';
import {
  type DenseRecipe,
  denseAugmentation,
  denseDropPath,
  denseEma,
  denseEpochs,
  denseLearningRate,
} from './dense-recipe.ts';
import { type ScheduleName, scheduleNames } from './learning-rate.ts';

/** The optimizers: torch.optim's AdamW, and SGD with momentum 0.9 and Nesterov. */
export const optimizerNames = ['adamw', 'sgd'] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/** The situation that the defaults of a run depend on, beside the preset. */
export interface TrainingSituation {
  /** Of the preset `dense`: how it trains, by what it begins with. */
  recipe: DenseRecipe;
  backbone: string;
  /** Images that an optimizer step sees. */
  imagesOfStep: number;
  optimizer: OptimizerName;
  epochs: number;
  /** The number of optimizer steps in the whole run. */
  steps: number;
  schedule: ScheduleName;
  fineTune: boolean;
  /** True if the backbone has weights from a file. */
  pretrained: boolean;
  scores: Scores;
}

function computed<T>(words: string, of: (situation: TrainingSituation) => T | undefined): Computed<T> {
  return { words, of };
}

/** Milestones belong to one schedule: the others have none by default. */
function milestones(words: string, of: (epochs: number) => number): Computed<readonly number[]> {
  return computed(words, ({ schedule, epochs }) => (schedule === 'multistep' ? [of(epochs)] : []));
}

/** What the preset `dense` has instead, where the backbone is trained on from weights of its own. */
function pretrainedDense<T>(value: T, usual: string, fits: (situation: TrainingSituation) => boolean = () => true) {
  return computed(`${usual}, with weights from a file ${value}`, (situation) =>
    situation.recipe !== 'random' && fits(situation) ? value : undefined,
  );
}

/** The presets train alike from random weights, but for the learning rate. */
function bothPyramids<T>(value: T): { ssd: T; dense: T } {
  return { ssd: value, dense: value };
}

const [data, training, rate, augmenting, evaluating, output, compute] = [
  ...['Data', 'Training', 'Learning rate', 'Augmentation', 'Evaluation', 'Output', 'Compute'],
] as const;

/** `0.5-1.5` as a pair. */
function parseRange(text: string): unknown {
  const ends = text.split('-').map((end) => number().parse(end));
  return ends.length === 2 ? ends : text;
}

/** How often a run saves within an epoch. */
export const saveEveryTable = {
  /**
   * After how many steps.
   * @default none: the minutes decide
   */
  steps: option(integer({ min: 1 }), {
    unset: 'the minutes decide',
    group: output,
    help: 'save "last" within an epoch after so many steps',
  }),
  /**
   * After how many minutes.
   * @default 10
   */
  minutes: option(positive(), {
    default: 10,
    group: output,
    help: 'save "last" within an epoch after so many minutes',
  }),
};

/** How often `last` is saved within an epoch: whichever comes first. */
export interface SaveEvery extends Given<typeof saveEveryTable> {}

/** Nothing is chosen: the table has the defaults. */
const BY_THE_CLOCK = {};

/** The same with its defaults. */
export interface ResolvedSaveEvery extends Resolved<typeof saveEveryTable> {}

const datasetKind = kind<Dataset>(checkDataset, 'Dataset', { placeholder: '' });

/**
 * The options of a `Trainer`, each declared here alone, but for those of the loss (model/loss-options.ts). A preset trains as it was measured to be best where the options say
 * nothing: `article` as the article does, `ssd` as test/bench/ablation found, `dense` from random weights as `ssd` with a higher rate, else
 * as dense-recipe.ts has it.
 */
const ownTable = {
  /** The training data set. Its classes must be the detector's. */
  train: option(datasetKind, { required: true, group: data, flag: false, help: 'data set to learn from' }),
  /** The validation data set, evaluated after each epoch. Its mAP@0.5:0.95 chooses the best checkpoint. */
  valid: option(datasetKind, {
    required: true,
    group: data,
    flag: false,
    help: 'data set that chooses the best checkpoint',
  }),
  /** The directory for checkpoints, metrics and plots. It is created if it is missing. */
  outDir: option(text('<dir>'), { required: true, group: output, help: 'where results go' }),
  /**
   * The number of epochs. In each epoch every training image is shown once.
   * @default 20; with the preset `dense` and weights from a file 50, or 100 for fewer than 2000 images
   */
  epochs: option(integer({ min: 1 }), {
    default: 20,
    presets: {
      dense: computed(
        '20, with weights from a file 50, or 100 for fewer than 2000 images',
        ({ recipe }) => denseEpochs[recipe],
      ),
    },
    group: training,
    help: 'how often every training image is shown',
  }),
  /**
   * The number of images that go through the model together.
   * @default 8
   */
  batchSize: option(integer({ min: 1, max: 1024 }), {
    default: 8,
    kept: true,
    group: training,
    flags: ['batch'],
    help: 'images that go through the model together',
  }),
  /**
   * The learning rate of the head, and of all other parameters without a factor.
   * @default 0.001, with the preset `article` 0.0001, with `dense` 0.002, or with weights from a file 0.001 for 128 images a step, at
   * least 0.0002
   */
  learningRate: option(positive(), {
    default: 1e-3,
    presets: {
      article: 1e-4,
      dense: computed(
        '0.002, with weights from a file 0.001 for 128 images a step, at least 0.0002',
        ({ recipe, imagesOfStep }) => denseLearningRate(recipe, imagesOfStep),
      ),
    },
    kept: true,
    group: rate,
    flags: ['lr'],
    help: 'learning rate of the head',
  }),
  /**
   * How the learning rate falls: `multistep` (at `milestones`), `cosine` (over all steps), or `flat-cosine` (from `flatFraction` of the
   * steps on). See `learningRateAt`. A resumed run has the same schedule if it has the same `epochs`.
   * @default 'multistep', with the preset `dense` and weights from a file 'flat-cosine'
   */
  schedule: option(choice(scheduleNames), {
    presets: { dense: pretrainedDense<ScheduleName>('flat-cosine', 'multistep') },
    unset: 'multistep',
    kept: true,
    group: rate,
    help: 'how the learning rate falls',
  }),
  /**
   * The number of optimizer steps at the beginning in which the learning rate rises linearly from a thousandth.
   * @default a twentieth of the run, 500 at most; with the preset `article` 0; with `dense` and weights from a file 1000 at most
   */
  warmupSteps: option(integer({ max: 1e9 }), {
    // The shorter of MMDetection's 500 steps and a twentieth of the run.
    presets: {
      ssd: computed('a twentieth of the run, 500 at most', ({ steps }) => Math.min(500, Math.round(steps / 20))),
      dense: computed(
        'a twentieth of the run, 500 at most, with weights from a file 1000 at most',
        ({ steps, recipe }) => Math.min(recipe === 'random' ? 500 : 1000, Math.round(steps / 20)),
      ),
    },
    unset: '0',
    kept: true,
    group: rate,
    flags: ['warmup'],
    placeholder: '<steps>',
    help: 'steps in which the learning rate rises from a thousandth',
  }),
  /**
   * The epochs after which the learning rate falls by `gamma`, for the schedule `multistep`.
   * @default three quarters of `epochs`, with the preset `article` [15]
   */
  milestones: option(list(integer({ min: 1, max: 1e6 }), { of: 'epochs' }), {
    default: [],
    presets: {
      ...bothPyramids(milestones('three quarters of the epochs', (epochs) => Math.max(1, Math.round(0.75 * epochs)))),
      article: milestones('15', () => 15),
    },
    kept: true,
    group: rate,
    flags: ['scheduler-epochs'],
    help: 'epochs after which the learning rate falls by gamma',
  }),
  /**
   * The factor on the learning rate at each milestone.
   * @default 0.1
   */
  gamma: option(positive(), { default: 0.1, kept: true, group: rate, help: 'what a milestone multiplies the rate by' }),
  /**
   * The share of steps before the learning rate falls, for `flat-cosine`, as in RTMDet (Lyu et al. 2022).
   * @default 0.5
   */
  flatFraction: option(number({ max: 1 }), {
    unset: '0.5',
    kept: true,
    group: rate,
    help: 'flat-cosine: share of the steps before the rate falls',
  }),
  /**
   * The last learning rate of a cosine, as a share of `learningRate`.
   * @default 0, with the preset `dense` and weights from a file 0.05
   */
  finalLearningRateFactor: option(number({ max: 1 }), {
    presets: { dense: pretrainedDense(0.05, '0', ({ schedule }) => schedule !== 'multistep') },
    unset: '0',
    kept: true,
    group: rate,
    help: 'where a cosine ends, as a share of the learning rate',
  }),
  /**
   * The optimizer: `adamw`, or `sgd` (with Nesterov's momentum).
   * @default 'adamw'
   */
  optimizer: option(choice(optimizerNames), {
    default: 'adamw',
    kept: true,
    group: training,
    native: 'optimizer',
    help: 'adamw, or sgd with momentum',
  }),
  /**
   * The weight of earlier gradients in a step: the momentum of `sgd`, the first beta of `adamw`.
   * @default 0.9: torch.optim's for `adamw`
   */
  momentum: option(number({ max: 0.9999 }), {
    unset: '0.9',
    kept: true,
    group: training,
    native: 'momentum',
    help: 'share of the average of gradients that a step keeps',
  }),
  /**
   * The weight decay: decoupled for `adamw`, a part of the gradient for `sgd`.
   * @default 0.01 for `adamw`, 0 for `sgd`: torch.optim's; with the preset `dense` and weights from a file 0.05 for `adamw`
   */
  weightDecay: option(number({ max: 1e6 }), {
    presets: { dense: pretrainedDense(0.05, '0.01 for adamw, 0 for sgd', ({ optimizer }) => optimizer === 'adamw') },
    unset: '0.01 for adamw, 0 for sgd',
    kept: true,
    group: training,
    help: 'how much of the weights a step takes away',
  }),
  /**
   * Whether biases, norms and layer scales are left without weight decay, as ConvNeXt (Liu et al. 2022) leaves them.
   * @default false, with the preset `dense` and weights from a file true
   */
  decayWeightsOnly: option(boolean(), {
    presets: { dense: pretrainedDense(true, 'false') },
    unset: 'false',
    kept: true,
    group: training,
    help: 'no weight decay of biases, norms and layer scales',
  }),
  /**
   * Whether the backbone is trained too, not only the head.
   * @default true, with the preset `article` false
   */
  fineTune: option(boolean(), {
    default: false,
    presets: bothPyramids(true),
    kept: true,
    group: training,
    native: 'fineTune',
    help: 'train the backbone too, not the head alone',
  }),
  /**
   * The backbone's factor of `learningRate`.
   * @default 0.1 for a backbone with weights from a file, else 1; with the presets `article` and `dense` 1
   */
  backboneLearningRateFactor: option(number({ max: 1e6 }), {
    presets: {
      ssd: computed('0.1 with weights from a file, else 1', ({ fineTune, pretrained }) =>
        fineTune && pretrained ? 0.1 : undefined,
      ),
    },
    unset: '1',
    kept: true,
    group: rate,
    flags: ['backbone-lr-factor'],
    help: "the backbone's share of the learning rate",
  }),
  /**
   * The factor of the learning rate from each layer of a ConvNeXt to the one before it. ConvNeXt's detectors have 0.7 to 0.95, with
   * layers as there (three blocks of the third stage are one).
   * @default 1, with the preset `dense` and weights from a file 0.8
   */
  layerDecay: option(number({ max: 1 }), {
    presets: { dense: pretrainedDense(0.8, '1', ({ backbone }) => backbone !== 'torchscript') },
    unset: '1',
    kept: true,
    group: rate,
    help: 'factor of the rate from a ConvNeXt layer to the one before',
  }),
  /**
   * The number of batches that go through the model one after another for one optimizer step. A step then sees `accumulate * batchSize`
   * images with the memory of `batchSize`. Its SSD loss equals that of one large batch: the sum over all parts, divided by all matched
   * default boxes. The loss of the head `dense` weighs its objects within each part, by `objectBalance`.
   * @default 1
   */
  accumulate: option(integer({ min: 1, max: 1024 }), {
    unset: '1',
    kept: true,
    group: training,
    help: 'batches for one step of the optimizer',
  }),
  /**
   * The decay per step of a moving average of the weights, as timm's ModelEmaV2: 0.9998 for long runs, 0.99 for a few hundred steps; it
   * warms up as min(ema, (1 + n) / (10 + n)). The average is what is evaluated and saved, and in the detector; `last` has the trained
   * weights beside it.
   * @default none, with the preset `dense` and weights from a file 0.9998, or less for fewer than 10000 steps
   */
  ema: option(number({ max: 1 - 1e-9, words: 'number from 0 to below 1' }), {
    presets: {
      dense: computed(
        'none, with weights from a file 0.9998, or less for fewer than 10000 steps',
        ({ recipe, steps }) => denseEma(recipe, steps),
      ),
    },
    unset: 'none',
    kept: true,
    group: training,
    placeholder: '<decay>',
    native: 'emaDecay',
    help: 'keep, evaluate and save a moving average of the weights',
  }),
  /**
   * The rate of stochastic depth (Huang et al. 2016) at which the last block of a ConvNeXt is skipped for an image; it rises linearly
   * from 0 in the first block. ConvNeXt-T has 0.1 for ImageNet and 0.4 for detection.
   * @default 0; with the preset `dense` and weights from a file 0.1, 0.2, 0.4 and 0.5 for ConvNeXt-T to ConvNeXt-L
   */
  dropPath: option(number({ max: 0.99 }), {
    presets: {
      dense: computed('0, with weights from a file 0.1 to 0.5 by the size of the ConvNeXt', ({ recipe, backbone }) =>
        denseDropPath(recipe, backbone),
      ),
    },
    unset: '0',
    kept: true,
    group: training,
    placeholder: '<rate>',
    native: 'dropPath',
    help: 'stochastic depth: rate of the last ConvNeXt block',
  }),
  /**
   * The number of epochs without a better score on `valid` after which the run stops.
   * @default never
   */
  patience: option(integer({ min: 1 }), {
    unset: 'never',
    group: training,
    placeholder: '<epochs>',
    help: 'stop after so many without a better score',
  }),
  /**
   * The probability of a horizontal flip.
   * @default 0.5
   */
  flipProbability: option(number({ max: 1 }), {
    default: 0.5,
    kept: true,
    group: augmenting,
    help: 'probability of a horizontal flip',
  }),
  /**
   * The further changes of training images: a name, or transforms with their options. `ssd` is torchvision's augmentation for SSD.
   * @default 'none'; with the preset `dense` and weights from a file a scale jitter from 0.5 to 2, and from 2000 images on mosaics and
   * photometric distortion too, without them in the last 0.15 of the epochs
   */
  augmentation: option(
    kind<AugmentationName | AugmentationOptions, Augmentation | undefined>(
      resolveAugmentation,
      `one of ${augmentationNames.join(', ')}, or an object of transforms`,
      { placeholder: '<name|file>', schema: augmentationSchema },
    ),
    {
      default: 'none',
      presets: {
        dense: computed(
          'none, with weights from a file scaleJitter, and from 2000 images on mosaic and photometricDistort',
          ({ recipe }): AugmentationName | AugmentationOptions | undefined => denseAugmentation(recipe),
        ),
      },
      isFile: true,
      kept: true,
      group: augmenting,
      help: 'transforms: a name, or a YAML file with "augmentation"',
    },
  ),
  /**
   * The smallest and the largest factor of the detector's `imageSize` that batches have in training: each ten steps have a size of their
   * own, in multiples of 32. Evaluation and detection have the detector's. [0.5, 1.5] at 640 x 640 is 320 to 960. A GPU then does without
   * graphs.
   * @default none: every batch has the detector's size
   */
  multiscale: option(
    kind<Range>(range(0.25, 4).check, 'a pair [from, to] of increasing numbers from 0.25 to 4', {
      schema: range(0.25, 4).schema!,
      placeholder: '<from-to>',
      parse: parseRange,
    }),
    {
      unset: "none: the detector's size",
      kept: true,
      group: augmenting,
      help: "factors of the detector's image size in training, such as 0.5-1.5",
    },
  ),
  /**
   * How much an object of each class counts in the loss of classes: a number for each class, in their order, or `balanced`, with which
   * every class of the training data counts the same: all objects / (classes * objects of the class).
   * @default 1 for each class
   */
  classWeights: option(classWeightsKind(), {
    unset: '1 for each class',
    kept: true,
    group: training,
    help: 'how much each class counts: balanced, or a number for each',
  }),
  /**
   * The largest L2 norm of all gradients together.
   * @default 10, with the preset `article` none
   */
  clipGradNorm: option(positive(), {
    default: null,
    presets: bothPyramids(10),
    kept: true,
    group: training,
    native: 'clipGradNorm',
    help: 'largest norm of all gradients together',
  }),
  /**
   * The number of images that are decoded at the same time.
   * @default 2
   */
  decodeConcurrency: option(integer({ min: 1, max: 256 }), {
    default: 2,
    aliases: ['workers'],
    flags: ['workers'],
    group: compute,
    help: 'images decoded at the same time',
  }),
  /**
   * Whether an epoch is evaluated and saved while the next one is trained, on a copy of the weights and of the optimizer's state that is
   * freed afterwards. Results and files are the same. A GPU would otherwise wait for images, scores and files; on a CPU both share the
   * cores. An epoch whose evaluation may end the run (`patience`), and the last one, are evaluated alone, and so is every one when there
   * is no memory for a copy.
   * @default true on a GPU, false on a CPU
   */
  overlapEvaluation: option(boolean(), {
    unset: 'on a GPU',
    group: evaluating,
    help: 'evaluate an epoch while the next one is trained',
  }),
  /**
   * Whether `train_loss.png` and `map.png` are drawn after each epoch. Short epochs end sooner without them.
   * @default true
   */
  plots: option(boolean(), { default: true, group: output, help: 'draw the loss and the mAP after each epoch' }),
  /**
   * The seed of everything random in training, such as the order of images and the flips.
   * @default 42
   */
  seed: option(integer(), {
    default: 42,
    kept: true,
    group: training,
    help: 'of weights, order, flips and augmentation',
  }),
  /**
   * How often `last` is saved within an epoch, beside the end of each epoch. A run goes on from there as if never interrupted.
   * @default {}: every 10 minutes
   */
  saveEvery: option(object<SaveEvery, ResolvedSaveEvery>(saveEveryTable), {
    default: BY_THE_CLOCK,
    group: output,
    help: 'how often "last" is saved within an epoch',
  }),
  /**
   * How many epochs keep a checkpoint of their own, `epoch-0007` and the like: the newest ones.
   * @default 0
   */
  keep: option(integer(), {
    default: 0,
    group: output,
    placeholder: '<epochs>',
    help: 'newest epochs that keep a checkpoint of their own',
  }),
  /**
   * How often in a row a checkpoint may fail to be saved, as on a full disk, before the run ends. Until then training goes on, and saving
   * is tried again.
   * @default 3
   */
  maxFailedSaves: option(integer({ min: 1 }), {
    default: 3,
    group: output,
    help: 'failed saves in a row that end the run',
  }),
  /**
   * Whether a run goes on with other data than it was started with. Otherwise it is refused if names, sizes or labels differ.
   * @default false
   */
  allowChangedData: option(boolean(), {
    default: false,
    group: output,
    help: 'resume also where the data set has changed',
  }),
  /**
   * Whether to continue the run in `outDir/last` as if it was never interrupted. Options that are left out keep the values of the run.
   * @default false
   */
  resume: option(boolean(), { default: false, group: output, flag: false, help: 'go on with the run in outDir' }),
};

/** Every option of a `Trainer`. */
export const trainerTable = { ...ownTable, ...learningTable };

/** The options of a `Trainer`. Options that contradict each other are rejected. */
export interface TrainerOptions extends Given<typeof ownTable>, LearningChoice {
  /** @deprecated The earlier name of `decodeConcurrency`. */
  workers?: number | null | undefined;
}

/** The options that checkpoints keep. A resumed run uses the same values. */
export interface RunOptions extends Resolved<Kept<typeof ownTable>>, LearningOptions {}

type Own = Omit<Resolved<typeof trainerTable>, keyof RunOptions>;

export interface ResolvedTrainerOptions extends Own {
  run: RunOptions;
}
