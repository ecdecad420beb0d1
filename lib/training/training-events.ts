import { checkFunction, checkKeys, wrongArgument } from '../base/check.ts';
import type { EvaluationResult } from '../evaluation/evaluator.ts';

/** One optimizer step. Epochs and steps count from 1; losses are means over the matched default boxes (SSD's N), without a unit. */
export interface StepEvent {
  epoch: number;
  epochs: number;
  step: number;
  /** Steps of an epoch. */
  steps: number;
  /** `boxLoss + classLoss`. */
  loss: number;
  boxLoss: number;
  classLoss: number;
  /** L2 norm of all gradients, before clipping. */
  gradientNorm: number;
  /** Of the head: parameters may have a factor of their own. */
  learningRate: number;
  /** Images of the step. */
  images: number;
  /** Without the wait for the images. */
  seconds: number;
}

/** One epoch: its mean losses over the steps, and how the detector does on `valid` after it. */
export interface EpochEvent {
  epoch: number;
  epochs: number;
  trainLoss: number;
  boxLoss: number;
  classLoss: number;
  /** mAP@0.5:0.95 and mAP@0.5 as the article prints them (torchmetrics). */
  map: number;
  map50: number;
  evaluation: EvaluationResult;
  /** Of its last step, and of the first one of the next. */
  learningRate: number;
  nextLearningRate: number;
  /** Whether this epoch is the best so far, by `map`. */
  best: boolean;
  /** The largest `map` so far, and its epoch. */
  bestScore: number;
  bestEpoch: number;
  /** From its first step to the end of its evaluation, saving not yet; with `overlapEvaluation` the next epoch trains meanwhile. */
  seconds: number;
}

/** What a run tells, and how it is ended. What a hook throws ends the run, too. */
export interface TrainingHooks {
  /** After each optimizer step, in order; on a GPU, which is asked every few steps, of several at once. */
  onStep?: (event: StepEvent) => void;
  /**
   * After evaluation and saving of each epoch; a promise is waited for. With `overlapEvaluation` that is between steps of the next one,
   * and the detector has the weights of these; `last` has those of the epoch.
   */
  onEpoch?: (event: EpochEvent) => void | Promise<void>;
  /** Progress of the evaluation after an epoch, in images. */
  onEvaluate?: (event: { epoch: number; done: number; total: number }) => void;
  /** Told of every image that could not be read and is left out, and of what a run has to do without. */
  onWarning?: (message: string) => void;
  /**
   * Aborted: the running step is finished, `last` is saved, and the run rejects with the signal's reason. While an epoch is evaluated
   * `last` is the end of that epoch, and a resumed run begins with the evaluation; steps that were taken beside it are taken again.
   */
  signal?: AbortSignal;
}

/** What a run came to. */
export interface TrainingResult {
  /** Completed: all of them, unless the run stopped early. */
  epochs: number;
  /** From 1. */
  bestEpoch: number;
  /** mAP@0.5:0.95 of the best epoch. */
  bestScore: number;
  outDir: string;
  /** Of this call, also of a resumed run. */
  seconds: number;
  /** There when `patience` ended the run. */
  stoppedEarly?: true;
}

const hookNames = ['onStep', 'onEpoch', 'onEvaluate', 'onWarning'] as const;

export function checkHooks(hooks: TrainingHooks): TrainingHooks {
  const known = checkKeys('hooks', hooks, [...hookNames, 'signal']) as TrainingHooks;
  for (const name of hookNames) if (known[name] !== undefined) checkFunction(name, known[name]);
  if (known.signal !== undefined && !(known.signal instanceof AbortSignal)) {
    throw new TypeError(wrongArgument('signal', 'AbortSignal', known.signal));
  }
  return known;
}
