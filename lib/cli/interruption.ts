/** The signals that end a command, and the exit codes that shells give them: 128 and the number of the signal. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

type EndingSignal = keyof typeof EXIT_CODES;

const endingSignals = Object.keys(EXIT_CODES) as EndingSignal[];

/** Why work was given up: a signal ended it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT_CODES.SIGINT) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The same interruption, with what came of the work. */
export function interruptedBy({ reason }: AbortSignal, message: string): Interrupted {
  return new Interrupted(message, reason instanceof Interrupted ? reason.exitCode : undefined);
}

/** The time within which a second signal is ignored. npm and npx pass Ctrl-C on to a child that the terminal has already signalled. */
const ECHO_MS = 500;

/** Actions that hear signals themselves. */
let hearing = 0;

/**
 * Ends the process in good order when a signal comes while no action hears it: with the exit code of the signal, and without the
 * temporary files that a plain end by the signal would leave.
 */
export function endOnSignals(): void {
  for (const signal of endingSignals) {
    process.on(signal, () => {
      if (hearing === 0) process.exit(EXIT_CODES[signal]);
    });
  }
}

/**
 * Runs an action that a signal can end: the first one aborts the action's own signal, so that it can save its work; a second one ends
 * the process at once. `hint` says what the first does.
 */
export async function interruptible<T>(hint: string, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const hear = (signal: EndingSignal) => () => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      console.error(`\n${hint} (${signal === 'SIGINT' ? 'Ctrl-C' : signal} again: stop at once)`);
      controller.abort(new Interrupted('Interrupted', EXIT_CODES[signal]));
    } else if (now - firstAt > ECHO_MS) {
      process.exit(EXIT_CODES[signal]);
    }
  };
  const listeners = endingSignals.map((signal) => [signal, hear(signal)] as const);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  hearing++;
  try {
    return await action(controller.signal);
  } finally {
    hearing--;
    for (const [signal, listener] of listeners) process.removeListener(signal, listener);
  }
}
