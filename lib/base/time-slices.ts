import { setImmediate } from 'node:timers/promises';

/**
 * Runs a long computation without blocking the event loop. `work` yields wherever it may pause. The event loop gets a turn after every
 * `sliceMs` milliseconds. The promise rejects with the reason of `signal` when it is aborted.
 */
export async function runInSlices<T>(work: Generator<void, T>, sliceMs = 15, signal?: AbortSignal): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    const end = performance.now() + sliceMs;
    do {
      const step = work.next();
      if (step.done) return step.value;
    } while (performance.now() < end);
    await setImmediate();
  }
}
