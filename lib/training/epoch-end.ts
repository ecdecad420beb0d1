import type { Detector } from '../detector/detector.ts';
import { Evaluator } from '../evaluation/evaluator.ts';
import { secondsSince } from './elapsed.ts';
import { epochScore } from './epoch-score.ts';
import type { EpochRecord } from './run-directory.ts';
import type { EpochEvent, TrainingHooks } from './training-events.ts';
import type { TrainingRun } from './training-run.ts';
import { finishEpoch, type TrainedEpoch } from './training-state.ts';

type Hooks = Pick<TrainingHooks, 'onEpoch' | 'onEvaluate' | 'onWarning' | 'signal'>;

/** What follows the last step of an epoch: it is evaluated, recorded, saved and told of. */
export class EpochEnd {
  readonly #run: TrainingRun;
  readonly #evaluator: Evaluator;
  readonly #hooks: Hooks;

  constructor(run: TrainingRun, hooks: Hooks) {
    const { valid, decodeConcurrency, run: options } = run.options;
    this.#run = run;
    this.#evaluator = new Evaluator(valid, { batchSize: options.batchSize, decodeConcurrency });
    this.#hooks = hooks;
  }

  /** Completes an epoch. `detector` has the weights of its end: it is the one that is trained, or a snapshot of it. */
  async complete(trained: TrainedEpoch, detector: Detector): Promise<void> {
    const { directory } = this.#run;
    this.#run.checkWeights(detector, trained.state);
    const event = await this.#score(trained, detector);
    await directory.appendMetrics(epochRecord(event));
    if (event.best) await this.#run.save('best', detector, trained.state);
    await this.#run.save('last', detector, trained.state);
    if (this.#run.options.plots) await directory.writePlots();
    await this.#hooks.onEpoch?.(event);
  }

  /** Evaluates the detector, and counts the epoch in its state. */
  async #score({ state, losses, began }: TrainedEpoch, detector: Detector): Promise<EpochEvent> {
    const { options, stepsOfEpoch: steps } = this.#run;
    const { onEvaluate, onWarning, signal } = this.#hooks;
    const epoch = state.epoch + 1;
    const onProgress = (done: number, total: number) => onEvaluate?.({ epoch, done, total });
    const evaluation = await this.#evaluator.evaluate(detector, { onProgress, onWarning, signal });
    const { map, map50 } = evaluation;
    const score = epochScore(evaluation, detector.config.preset);
    const rates = {
      learningRate: this.#run.learningRate(state.epoch, steps - 1),
      nextLearningRate: this.#run.learningRate(state.epoch, steps),
    };
    const best = finishEpoch(state, score);
    const { bestScore, bestEpoch } = state as { bestScore: number; bestEpoch: number };
    Object.assign(this.#run.state, { bestScore, bestEpoch });
    const at = { epoch, epochs: options.epochs, steps };
    return {
      ...{ ...at, ...losses, map, map50, score, evaluation, ...rates, best, bestScore, bestEpoch },
      seconds: secondsSince(began),
    };
  }
}

function epochRecord({ epochs: _, evaluation, ...event }: EpochEvent): EpochRecord {
  const { coco, compat, voc2007, voc2010, perClass, bySide } = evaluation;
  return { type: 'epoch', ...event, coco: coco.stats, compat, voc2007, voc2010, perClass, bySide };
}
