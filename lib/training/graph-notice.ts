import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import type { TrainingHooks } from './training-events.ts';

/**
 * Says why steps are not given to the GPU as graphs. A graph is a whole step, recorded once and replayed with one call: the results are
 * the same, and the CPU has less to do. On the CPU there are none, and nothing is said.
 */
export class GraphNotice {
  readonly #detector: Detector;
  readonly #onWarning: TrainingHooks['onWarning'];
  #told = '';

  constructor(detector: Detector, { onWarning }: Pick<TrainingHooks, 'onWarning'>) {
    this.#detector = detector;
    this.#onWarning = onWarning;
  }

  /** Tells of a reason that is new. */
  async tell(): Promise<void> {
    const { addon, handle } = internalsOf(this.#detector);
    const reason = await addon.graphRefusal(handle);
    if (reason !== this.#told)
      this.#onWarning?.(`Steps are not given to the GPU as one graph, which changes no result: ${reason}`);
    this.#told = reason;
  }
}
