import type { VideoSummary } from './options.ts';

/** Measures the speed of the model and of the whole pipeline. */
export class Speedometer {
  readonly #began = performance.now();
  /** The first batch warms up memory and threads. It counts only while it is the only one. */
  #first: Timing | undefined;
  readonly #others: Timing = { frames: 0, seconds: 0 };

  /** Times the model on a number of frames. */
  async measure<T>(frames: number, detect: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await detect();
    const seconds = (performance.now() - began) / 1000;
    if (this.#first) {
      this.#others.frames += frames;
      this.#others.seconds += seconds;
    } else {
      this.#first = { frames, seconds };
    }
    return result;
  }

  /** The summary for the given number of yielded and dropped frames. */
  summary(frames: number, dropped: number): VideoSummary {
    const seconds = (performance.now() - this.#began) / 1000;
    const model = this.#others.frames > 0 ? this.#others : this.#first;
    return { frames, dropped, seconds, modelFps: perSecond(model), fps: perSecond({ frames, seconds }) };
  }
}

interface Timing {
  frames: number;
  seconds: number;
}

function perSecond(timing: Timing | undefined): number {
  return timing && timing.seconds > 0 ? timing.frames / timing.seconds : 0;
}
