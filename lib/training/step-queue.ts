import { PURPOSE, random } from '../base/random.ts';
import type { StepResult } from '../binding.ts';
import type { LoadedBatch } from '../data/data-loader.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import { secondsSince } from './elapsed.ts';
import { PendingSteps } from './pending-steps.ts';
import type { StepRecord } from './run-directory.ts';
import type { StepEvent, TrainingHooks } from './training-events.ts';
import type { TrainingRun } from './training-run.ts';
import { addStep } from './training-state.ts';

/** Takes the optimizer steps of a run. Each step is counted, recorded and told of, in order, as soon as its result is known. */
export class StepQueue {
  readonly #run: TrainingRun;
  readonly #onStep: TrainingHooks['onStep'];
  readonly #pending = new PendingSteps();

  constructor(run: TrainingRun, { onStep }: Pick<TrainingHooks, 'onStep'>) {
    this.#run = run;
    this.#onStep = onStep;
  }

  /** Takes one step. Resolves when the native side has it, which on a GPU is before its result is known. */
  async take({ handle, index, samples }: LoadedBatch & { index: number }): Promise<void> {
    const began = performance.now();
    const { state, options } = this.#run;
    const { addon, handle: detector } = internalsOf(this.#run.detector);
    const learningRate = this.#run.learningRate(state.epoch, index);
    const seed = random(options.run.seed, state.epoch, index, PURPOSE.dropPath) * 2 ** 32;
    const results = await addon.trainStep(detector, handle, learningRate, seed);
    this.#pending.begin({ step: index + 1, learningRate, images: samples.length, seconds: secondsSince(began) });
    await this.#tell(results);
  }

  /** Waits for the results of all steps that were taken. Afterwards the weights are those of the run's state. */
  async finish(): Promise<void> {
    while (this.#pending.length > 0) {
      const results = await this.#lastResults();
      if (results.length === 0) throw new Error(`No results of ${this.#pending.length} steps that were taken`);
      await this.#tell(results);
    }
  }

  /** Does the same after a failure: a step that failed has changed nothing, and neither has any step after it. */
  async settle(): Promise<void> {
    await this.#tell(await this.#lastResults().catch(() => []));
  }

  #lastResults(): Promise<StepResult[]> {
    const { addon, handle } = internalsOf(this.#run.detector);
    return addon.finishSteps(handle);
  }

  async #tell(results: readonly StepResult[]): Promise<void> {
    const { state, options, directory, writes, stepsOfEpoch: steps } = this.#run;
    for (const step of this.#pending.finish(results)) {
      addStep(state, step.step, step);
      const event = { epoch: state.epoch + 1, epochs: options.epochs, steps, ...step };
      await writes.record(() => directory.appendMetrics(stepRecord(event)));
      this.#onStep?.(event);
    }
  }
}

function stepRecord({ epochs: _, images: __, ...event }: StepEvent): StepRecord {
  return { type: 'step', ...event };
}
