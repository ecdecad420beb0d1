import type { Detector } from '../detector/detector.ts';
import { Evaluator } from '../evaluation/evaluator.ts';
import { secondsSince } from './elapsed.ts';
import { epochScore } from './epoch-score.ts';
import type { EpochRecord } from './run-directory.ts';
import type { EpochEvent, TrainingHooks } from './training-events.ts';
import type { TrainingRun } from './training-run.ts';
import { bestOf, finishEpoch, type TrainedEpoch, type TrainingState } from './training-state.ts';

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
    const { directory, writes, options } = this.#run;
    const { state } = trained;
    this.#run.checkWeights(detector, state);
    const before = bestOf(state);
    const event = await this.#score(trained, detector);
    await writes.record(() => directory.appendMetrics(epochRecord(event)));
    if (event.best && !(await this.#run.trySave('best', detector, state))) this.#setBest(state, before);
    if (await this.#run.trySave('last', detector, state)) await writes.record(() => this.#run.keepEpoch(event.epoch));
    if (options.plots) await writes.record(() => directory.writePlots());
    await this.#hooks.onEpoch?.(event);
  }

  /** The best epoch is the one that is saved as `best`: the next one is compared with that. */
  #setBest(state: TrainingState, best: ReturnType<typeof bestOf>): void {
    for (const each of [state, this.#run.state]) Object.assign(each, best);
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
    const missing = options.valid.length - evaluation.images;
    const best = finishEpoch(state, score, missing);
    if (missing > 0 && !best)
      onWarning?.(
        `${missing} of ${options.valid.length} validation images could not be read: epoch ${epoch} cannot be compared with the best one`,
      );
    this.#setBest(state, bestOf(state));
    const { bestScore, bestEpoch } = state as { bestScore: number; bestEpoch: number };
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
