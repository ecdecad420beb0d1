import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface ChildProgramOptions {
  /** Aborting this signal kills the program at once. */
  signal?: AbortSignal | undefined;
  /** Called with each line of the program's standard error. */
  onLine?: (line: string) => void;
}

/** The length at which a line of the log is cut. Only the last errors are kept. */
const MAX_LINE = 4096;
const MAX_COMPLAINTS = 4;

/** An error line of a log with `-loglevel level+...`: "[error] text" or "[h264 @ 0x55] [error] text". */
const ERROR_LINE = /^(?:\[[^\]]+\] )?\[(?:error|fatal|panic)\] (.*)$/;

const running = new Set<ChildProgram>();
const killAll = () => {
  for (const program of running) program.kill();
};

/**
 * A running ffmpeg or ffprobe with pipes and without a shell. It does not outlive this process. Ctrl-C on the terminal does not reach it.
 */
export class ChildProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /**
   * Resolves with an exit code, the name of a signal, or the reason why the program did not start. It never rejects. No process is left
   * afterwards.
   */
  readonly ended: Promise<number | string>;
  /** True once this process has killed the program. */
  isKilled = false;
  readonly #child: ChildProcess;
  readonly #complaints: string[] = [];

  constructor(path: string, args: readonly string[], { signal, onLine }: ChildProgramOptions = {}) {
    // A process group of its own: the terminal's Ctrl-C reaches only this process. Killing a wrapper script also kills its children.
    const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, windowsHide: true });
    this.#child = child;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    this.stdin.on('error', () => {}); // the program ended before it read everything; `ended` says why
    const onAbort = () => this.kill();
    this.ended = new Promise<number | string>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      child.once('close', (code, signalName) => resolve(code ?? signalName ?? 'an unknown signal'));
    }).finally(() => {
      signal?.removeEventListener('abort', onAbort);
      running.delete(this);
      if (running.size === 0) process.off('exit', killAll);
    });
    if (running.size === 0) process.on('exit', killAll);
    running.add(this);
    readLines(child.stderr, (line) => {
      this.#keepComplaint(line);
      onLine?.(line);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
  }

  /** The last errors of the program on one line; empty if there was none. */
  get complaint(): string {
    return this.#complaints.join('; ');
  }

  /** Kills the program at once. It is safe to repeat, also after the program has ended by itself. */
  kill(): void {
    // Unread output would keep the pipes open and delay `ended`.
    this.stdin.destroy();
    this.stdout.destroy();
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.isKilled = true;
    try {
      if (process.platform === 'win32') this.#child.kill('SIGKILL');
      else process.kill(-pid, 'SIGKILL');
    } catch {
      // The program has just ended.
    }
  }

  /** Keeps lines in another form too: errors of the system's loader or of a wrapper script. */
  #keepComplaint(line: string): void {
    const text = ERROR_LINE.exec(line)?.[1] ?? (line.startsWith('[') ? '' : line.trim());
    if (text === '' || this.#complaints.at(-1) === text) return;
    this.#complaints.push(text);
    if (this.#complaints.length > MAX_COMPLAINTS) this.#complaints.shift();
  }
}

/** Runs a program to its end, or until its time is up, and returns its standard output. */
export async function runToEnd(
  path: string,
  args: readonly string[],
  seconds: number,
  signal?: AbortSignal,
): Promise<{ output: string; ending: number | string; complaint: string }> {
  const program = new ChildProgram(path, args, { signal });
  program.stdin.end();
  const chunks: Buffer[] = [];
  program.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ending = await within(seconds, program.ended, () => program.kill());
  signal?.throwIfAborted();
  return {
    output: Buffer.concat(chunks).toString(),
    ending: program.isKilled ? `no answer for ${seconds} s` : ending,
    complaint: program.complaint,
  };
}

/** Waits for `work`. Calls `onLate` if it takes longer than `seconds`. */
export async function within<T>(seconds: number, work: Promise<T>, onLate: () => void): Promise<T> {
  const timer = setTimeout(onLate, 1000 * seconds);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/\r?\n|\r/);
    rest = lines.pop()!.slice(0, MAX_LINE);
    for (const line of lines) onLine(line.slice(0, MAX_LINE));
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
