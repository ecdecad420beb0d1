import { DetectorError } from '../base/errors.ts';
import { type Detector, snapshotOf } from '../detector/detector.ts';
import type { TrainingState } from './training-state.ts';

/** An epoch that was trained and is not evaluated and saved yet. */
export interface UnfinishedEpoch {
  /** Has the weights of its end: the detector that is trained, or a snapshot of it. */
  detector: Detector;
  /** Of its end: with this and the detector a run can go on with the evaluation. */
  state: TrainingState;
}

/**
 * Evaluates the epochs of a run, one at a time: each beside the training of the next one, on a copy of what is trained, which is freed
 * when the evaluation is done; or, without `overlap`, before it.
 */
export class OverlappedEvaluation {
  readonly #detector: Detector;
  readonly #onWarning: ((message: string) => void) | undefined;
  #overlap: boolean;
  #epoch: UnfinishedEpoch | undefined;
  #running: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  constructor(
    detector: Detector,
    { overlap, onWarning }: { overlap: boolean; onWarning?: ((message: string) => void) | undefined },
  ) {
    this.#detector = detector;
    this.#overlap = overlap;
    this.#onWarning = onWarning;
  }

  /**
   * Begins the evaluation of an epoch; the epoch before it has to be finished. Where another one may be trained `beside` it, this resolves
   * as soon as there is a copy of the weights. Otherwise, and when there is no memory for a copy, it resolves when `evaluate` is done.
   */
  async start(state: TrainingState, beside: boolean, evaluate: (detector: Detector) => Promise<void>): Promise<void> {
    if (this.#epoch) throw new Error('An epoch is evaluated before the one before it is finished');
    this.#epoch = { detector: this.#detector, state };
    if (beside && this.#overlap) this.#epoch.detector = await this.#copy();
    const { detector } = this.#epoch;
    this.#running = evaluate(detector).then(
      () => this.dispose(),
      (error: unknown) => {
        this.#failure = { error };
      },
    );
    if (detector === this.#detector) await this.finish();
  }

  /** Waits for the epoch that is evaluated, if there is one; throws what went wrong in it. */
  async finish(): Promise<void> {
    await this.#running;
    this.throwIfFailed();
  }

  /** Whether an epoch is not evaluated yet. */
  get isRunning(): boolean {
    return this.#epoch !== undefined;
  }

  /** For the one who trains meanwhile. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits, too, and gives the epoch whose evaluation failed, with the reason. */
  async settle(): Promise<(UnfinishedEpoch & { error: unknown }) | undefined> {
    await this.#running;
    return this.#epoch && { ...this.#epoch, error: this.#failure?.error };
  }

  /** Frees the copy, if there is one still. */
  dispose(): void {
    if (this.#epoch?.detector !== this.#detector) this.#epoch?.detector.dispose();
    this.#epoch = undefined;
  }

  async #copy(): Promise<Detector> {
    try {
      return await snapshotOf(this.#detector);
    } catch (error) {
      if (!(error instanceof DetectorError && error.code === 'OUT_OF_MEMORY')) throw error;
      this.#overlap = false;
      this.#onWarning?.(
        'No memory for a copy of the weights: from now on each epoch is evaluated before the next one is trained',
      );
      return this.#detector;
    }
  }
}
