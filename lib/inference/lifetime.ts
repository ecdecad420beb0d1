import { DetectorError } from '../base/errors.ts';
import type { OnnxModel } from '../onnx/onnx-model.ts';

/** A model that is released when its owner gives it up and the last call that is under way has ended. */
export class Lifetime {
  readonly #model: OnnxModel;
  readonly #underWay = new Set<Promise<unknown>>();
  #isDisposed = false;

  constructor(model: OnnxModel) {
    this.#model = model;
  }

  /** @throws DetectorError `DISPOSED` */
  async use<T>(work: (model: OnnxModel) => Promise<T>): Promise<T> {
    if (this.#isDisposed) {
      throw new DetectorError('DISPOSED', 'The OnnxDetector was used after dispose(); load another');
    }
    const running = work(this.#model);
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    void Promise.allSettled(this.#underWay)
      .then(() => this.#model.release())
      .catch(() => {}); // nobody is left to hear of it
  }
}
