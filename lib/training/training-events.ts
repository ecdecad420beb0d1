import { checkFunction, checkKeys, wrongArgument } from '../base/check.ts';
import type { EvaluationResult } from '../evaluation/evaluator.ts';
import type { RunOptions } from './trainer-options.ts';

/** One optimizer step. Losses are means over the matched default boxes (N in the SSD paper) and have no unit. */
export interface StepEvent {
  /** The epoch, counted from 1. */
  epoch: number;
  /** Epochs of the whole run. */
  epochs: number;
  /** The step in its epoch, counted from 1. */
  step: number;
  /** Steps of an epoch. */
  steps: number;
  /** `boxLoss + classLoss`. */
  loss: number;
  /** Loss of the box regression. */
  boxLoss: number;
  /** Loss of the classification. */
  classLoss: number;
  /** L2 norm of all gradients together, before clipping. */
  gradientNorm: number;
  /** Learning rate of the head. Other parameters may have a factor of their own. */
  learningRate: number;
  /** Images in the step. */
  images: number;
  /** Duration in seconds, without the wait for the images. */
  seconds: number;
}

/** One epoch: its mean losses, and the scores of the detector on `valid` after it. */
export interface EpochEvent {
  /** The epoch, counted from 1. */
  epoch: number;
  /** Epochs of the whole run. */
  epochs: number;
  /** Mean of the steps' `loss`. */
  trainLoss: number;
  /** Mean of the steps' `boxLoss`. */
  boxLoss: number;
  /** Mean of the steps' `classLoss`. */
  classLoss: number;
  /** mAP@0.5:0.95 as COCO computes it, 0 to 1. */
  map: number;
  /** mAP@0.5 as COCO computes it, 0 to 1. */
  map50: number;
  /** The number that chooses the best checkpoint: `map`, or with the preset `article` the mAP@0.5:0.95 of torchmetrics. */
  score: number;
  /** All scores of the evaluation. */
  evaluation: EvaluationResult;
  /** Learning rate of the last step of the epoch. */
  learningRate: number;
  /** Learning rate of the first step of the next epoch. */
  nextLearningRate: number;
  /** Whether this epoch is the best so far, by `score`. */
  best: boolean;
  /** The largest `score` so far. */
  bestScore: number;
  /** The epoch of `bestScore`. */
  bestEpoch: number;
  /**
   * Seconds from the first step of the epoch to the end of its evaluation, without saving. With `overlapEvaluation` the next epoch is
   * trained during a part of this time.
   */
  seconds: number;
}

/** The beginning of a run, or of what is left of a run that is resumed. */
export interface StartEvent {
  /** All options of the run, with their defaults filled in. Those of a resumed run are in its checkpoint. */
  options: RunOptions & { epochs: number; patience?: number };
  /** Epochs that are complete: 0 in a new run. */
  epoch: number;
  /** Steps of the next epoch that are done: 0 in a new run. */
  step: number;
}

/** Callbacks of a training run, and the signal that aborts it. An error that a callback throws ends the run, which rejects with it. */
export interface TrainingHooks {
  /** Called once before the first step, when the run directory is open and a resumed run has its weights. A promise is waited for. */
  onStart?: (event: StartEvent) => void | Promise<void>;
  /** Called after each optimizer step, in order. A GPU gives the results of several steps at once. */
  onStep?: (event: StepEvent) => void;
  /**
   * Called after each epoch, when it is evaluated and saved. A promise is waited for. With `overlapEvaluation` the call comes between two
   * steps of the next epoch: the detector has the weights after these steps, and `last` has those of the epoch.
   */
  onEpoch?: (event: EpochEvent) => void | Promise<void>;
  /** Called during the evaluation of an epoch, with the images that are done and their total number. */
  onEvaluate?: (event: { epoch: number; done: number; total: number }) => void;
  /**
   * Called with a sentence about every image that cannot be read and is left out, about what the run has to do without, and about what
   * differs in a resumed run from the run that was interrupted.
   */
  onWarning?: (message: string) => void;
  /**
   * Aborts the run: the current step is finished, `last` is saved, and the run rejects with the reason of the signal. If an epoch is
   * being evaluated, `last` is the end of this epoch, and the resumed run begins with the evaluation. Steps that were taken during the
   * evaluation are then taken again.
   */
  signal?: AbortSignal;
}

/** The result of a training run. */
export interface TrainingResult {
  /** Epochs that are complete: all of them, unless the run stopped early. */
  epochs: number;
  /** The best epoch, counted from 1. */
  bestEpoch: number;
  /** The largest `score` of an epoch: its mAP@0.5:0.95, 0 to 1. */
  bestScore: number;
  /** The run directory. */
  outDir: string;
  /** Duration of this call in seconds. A resumed run does not count what came before. */
  seconds: number;
  /** `true` if `patience` ended the run, otherwise left out. */
  stoppedEarly?: true;
}

const hookNames = ['onStart', 'onStep', 'onEpoch', 'onEvaluate', 'onWarning'] as const;

export function checkHooks(hooks: TrainingHooks): TrainingHooks {
  const known = checkKeys('hooks', hooks, [...hookNames, 'signal']) as TrainingHooks;
  for (const name of hookNames) if (known[name] !== undefined) checkFunction(name, known[name]);
  if (known.signal !== undefined && !(known.signal instanceof AbortSignal)) {
    throw new TypeError(wrongArgument('signal', 'AbortSignal', known.signal));
  }
  return known;
}
