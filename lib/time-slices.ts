import { setImmediate } from 'node:timers/promises';

/**
 * Runs a long computation without holding the event loop: `work` yields wherever it may pause,
 * and the loop gets its turn whenever `sliceMs` milliseconds have passed.
 */
export async function runInSlices<T>(work: Generator<void, T>, sliceMs = 15): Promise<T> {
  for (;;) {
    const end = performance.now() + sliceMs;
    do {
      const step = work.next();
      if (step.done) return step.value;
    } while (performance.now() < end);
    await setImmediate();
  }
}
