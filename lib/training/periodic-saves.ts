import type { OverlappedEvaluation } from './overlapped-evaluation.ts';
import type { StepQueue } from './step-queue.ts';
import type { TrainingRun } from './training-run.ts';

/** After a save that failed. */
const RETRY_MINUTES = 1;

/** Saves `last` in the middle of epochs: every so many steps or minutes, and when it is asked to. */
export class PeriodicSaves {
  readonly #run: TrainingRun;
  readonly #steps: StepQueue;
  readonly #evaluations: OverlappedEvaluation;
  /** Steps since `last` was saved, at `#countedFrom`. */
  #taken = 0;
  #countedFrom = 0;
  #triedAt = performance.now();
  #failed = false;
  #requested = false;

  constructor(run: TrainingRun, steps: StepQueue, evaluations: OverlappedEvaluation) {
    this.#run = run;
    this.#steps = steps;
    this.#evaluations = evaluations;
  }

  /** Asks for a save after the step that is under way. */
  request(): void {
    this.#requested = true;
  }

  /** Saves if it is time. An epoch that is evaluated meanwhile comes first: `last` cannot hold both. */
  async afterStep(): Promise<void> {
    const { lastSavedAt } = this.#run;
    if (lastSavedAt !== this.#countedFrom) this.#taken = 0;
    this.#countedFrom = lastSavedAt;
    this.#taken++;
    if (!this.#isDue || this.#evaluations.isRunning) return;
    await this.#steps.finish();
    const { detector, state } = this.#run;
    this.#failed = !(await this.#run.trySave('last', detector, state));
    this.#requested &&= this.#failed;
    this.#taken = 0;
    this.#triedAt = performance.now();
  }

  get #isDue(): boolean {
    const { steps = Number.POSITIVE_INFINITY, minutes } = this.#run.options.saveEvery;
    const waited = (performance.now() - Math.max(this.#triedAt, this.#run.lastSavedAt)) / 60_000;
    if (this.#failed) return waited >= Math.min(minutes, RETRY_MINUTES);
    return this.#requested || this.#taken >= steps || waited >= minutes;
  }
}
