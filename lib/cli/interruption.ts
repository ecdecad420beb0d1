/** The error after Ctrl-C; exit code 130. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The time within which a second signal is ignored. npm and npx pass Ctrl-C on to a child that the terminal has already signalled. */
const ECHO_MS = 500;

/**
 * Runs an action that Ctrl-C can end. The first Ctrl-C aborts the signal, so that the action can save its work. The second ends the process
 * at once. `hint` describes the effect of the first.
 */
export async function interruptible<T>(hint: string, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const onInterrupt = () => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      console.error(`\n${hint} (Ctrl-C again: stop at once)`);
      controller.abort(new Interrupted('Interrupted'));
    } else if (now - firstAt > ECHO_MS) {
      process.exit(130);
    }
  };
  process.on('SIGINT', onInterrupt);
  try {
    return await action(controller.signal);
  } finally {
    process.removeListener('SIGINT', onInterrupt);
  }
}
