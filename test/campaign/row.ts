import { random } from '../../lib/base/random.ts';

/** What a row of the campaign has: a place, random numbers that depend on the seed alone, and an end. */
export class Trial {
  readonly folder: string;
  readonly seed: number;
  readonly #end: number;
  #drawn = 0;

  constructor(folder: string, seed: number, seconds: number) {
    this.folder = folder;
    this.seed = seed;
    this.#end = performance.now() + 1000 * seconds;
  }

  /** Whether there is time for another try. */
  get goesOn(): boolean {
    return performance.now() < this.#end;
  }

  /** From 0 to below 1. */
  random(): number {
    return random(this.seed, 17, this.#drawn++, 0);
  }

  /** From 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

export interface Outcome {
  tries: number;
  /** What went wrong, a sentence each. */
  failures: string[];
}

/** One thing that is tried again and again. */
export interface Row {
  name: string;
  /** What a try is. */
  what: string;
  /** Tries until the trial's time is over, but at least once. */
  run(trial: Trial): Promise<Outcome>;
  /** The same on something that is known to be wrong: without a failure here, the row could not see one. */
  control(trial: Trial): Promise<Outcome>;
}

/** Repeats a try until the time is over; what it throws is a failure. */
export async function repeat(trial: Trial, tryOnce: (index: number) => Promise<void>, atMost = 1e9): Promise<Outcome> {
  const failures: string[] = [];
  let tries = 0;
  do {
    try {
      await tryOnce(tries);
    } catch (error) {
      failures.push(`try ${tries}: ${error instanceof Error ? error.message : String(error)}`);
    }
    tries++;
  } while (trial.goesOn && tries < atMost);
  return { tries, failures };
}
