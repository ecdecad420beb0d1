import type { StepResult } from '../binding.ts';

/** A step that the native side was told to do. */
export interface BegunStep {
  /** In its epoch, from 1. */
  step: number;
  learningRate: number;
  /** Images. */
  images: number;
  /** Until the native side answered. */
  seconds: number;
}

/** Steps whose results are not known yet: a GPU is asked for them every few steps, because an answer takes waiting. */
export class PendingSteps {
  readonly #begun: BegunStep[] = [];

  get length(): number {
    return this.#begun.length;
  }

  begin(step: BegunStep): void {
    this.#begun.push(step);
  }

  /** The steps that these results, in order, are of. Those that were waited for together took equally long, as far as one can tell. */
  finish(results: readonly StepResult[]): (StepResult & BegunStep)[] {
    if (results.length > this.#begun.length)
      throw new Error(`${results.length} results of ${this.#begun.length} steps`);
    const steps = this.#begun.splice(0, results.length);
    const seconds = steps.reduce((sum, step) => sum + step.seconds, 0) / steps.length;
    return steps.map((step, i) => ({ ...results[i]!, ...step, seconds }));
  }
}
