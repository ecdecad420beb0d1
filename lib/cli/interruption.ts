/** Why work was given up after Ctrl-C: exit code 130. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** npm and npx pass Ctrl-C on to a child that the terminal has told already: two signals for one key. */
const ECHO_MS = 500;

/**
 * Runs an action that Ctrl-C can end: the first aborts the signal, so that the action can save its work; a second ends the process
 * at once. `hint` says what the first does.
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
