import type { Augmentation, AugmentationName, AugmentationOptions } from '../data/augment/options.ts';
import type { Dataset } from '../data/dataset.ts';
import type { ScheduleName } from './learning-rate.ts';

/** torch.optim's AdamW, and SGD with momentum 0.9 and Nesterov. */
export const optimizerNames = ['adamw', 'sgd'] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/**
 * Of a training. Defaults are the article's; those of the preset `best` are named where they differ (training-defaults.ts). What makes
 * no sense together is refused.
 */
export interface TrainerOptions {
  /** What is learned from; its classes are the detector's. */
  train: Dataset;
  /** Evaluated after each epoch; its mAP@0.5:0.95 chooses the best checkpoint. */
  valid: Dataset;
  /** Where checkpoints, metrics and plots go; made if it is missing. */
  outDir: string;
  /** Times that every training image is shown; default 20. */
  epochs?: number;
  /** Images that go through the model together; default 8. */
  batchSize?: number;
  /** Of the head, and of all else that has no factor of its own; default 1e-4; `best`: 1e-3. */
  learningRate?: number;
  /**
   * How the learning rate falls: `multistep` (default; at `milestones`), `cosine` (over all steps), or `flat-cosine` (from
   * `flatFraction` of the steps on). See `learningRateAt`. A resumed run has the same schedule if it has the same `epochs`.
   */
  schedule?: ScheduleName;
  /**
   * Optimizer steps at the beginning in which the learning rate rises linearly from a thousandth; default 0; `best`: a twentieth of the run,
   * 500 at most.
   */
  warmupSteps?: number;
  /** Epochs after which the learning rate falls by `gamma`, for `multistep`; default [15]; `best`: three quarters of `epochs`. */
  milestones?: readonly number[];
  /** What `milestones` multiply the learning rate by; default 0.1. */
  gamma?: number;
  /** For `flat-cosine`: the share of the steps before the learning rate falls; default 0.5, as RTMDet (Lyu et al. 2022). */
  flatFraction?: number;
  /** Where a cosine ends, as a share of `learningRate`; default 0. */
  finalLearningRateFactor?: number;
  /** `adamw` (default) or `sgd` (momentum 0.9, Nesterov). */
  optimizer?: OptimizerName;
  /** Default 0.01 for `adamw` (decoupled), 0 for `sgd` (as a part of the gradient): torch.optim's. */
  weightDecay?: number;
  /** No weight decay of biases, norms and layer scales, as ConvNeXt (Liu et al. 2022); default false, it holds for all. */
  decayWeightsOnly?: boolean;
  /** Train the backbone too; default false, the head alone; `best`: true. */
  fineTune?: boolean;
  /** Of `learningRate`, for the backbone; default 1; `best`: 0.1 for a backbone with weights from a file. */
  backboneLearningRateFactor?: number;
  /**
   * Of the learning rate, from each layer of a ConvNeXt to the one before it; default 1. ConvNeXt's detectors have 0.7 to 0.95, with
   * layers as there (three blocks of the third stage are one).
   */
  layerDecay?: number;
  /**
   * Batches that go through the model one after the other for one optimizer step; default 1. A step then sees
   * `accumulate * batchSize` images with the memory of `batchSize`. Its loss is that of one large batch: the SSD loss is a mean over
   * the matched default boxes, so each part counts as often as it has such boxes, and the sum is divided by those of all parts.
   */
  accumulate?: number;
  /**
   * Decay per step of a moving average of the weights, as timm's ModelEmaV2 (0.9998 is usual for long runs, 0.99 for a few hundred
   * steps; it warms up as min(ema, (1 + n) / (10 + n))). The average is what is evaluated and saved, and in the detector; `last` has
   * the trained weights beside it. Default: none.
   */
  ema?: number;
  /**
   * Stochastic depth (Huang et al. 2016): rate, below 1, at which the last block of a ConvNeXt is skipped for an image; it rises
   * linearly from 0 in the first block. ConvNeXt-T has 0.1 for ImageNet and 0.4 for detection. Default 0.
   */
  dropPath?: number;
  /** Stop after so many epochs without a better score on `valid`; default never. */
  patience?: number;
  /** Probability of a horizontal flip; default 0.5. */
  flipProbability?: number;
  /** What else is done to the training images; default `none`. `ssd` is torchvision's for SSD. */
  augmentation?: AugmentationName | AugmentationOptions;
  /** The largest L2 norm of all gradients together; default none; `best`: 10. */
  clipGradNorm?: number;
  /** Images decoded at the same time; default 2. */
  workers?: number;
  /**
   * Evaluate and save an epoch while the next one is trained, on a copy of the weights and of the optimizer's state that is freed
   * afterwards. Results and files are the same. Default: on a GPU, which would wait for images, scores and files; not on a CPU, where
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
  train: Dataset;
  valid: Dataset;
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
