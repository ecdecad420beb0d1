import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface ChildProgramOptions {
  /** Kills the program at once when it is aborted. */
  signal?: AbortSignal | undefined;
  /** Called with each line of its standard error. */
  onLine?: (line: string) => void;
}

/** Longer lines of a log are cut, and of its errors the last ones are kept. */
const MAX_LINE = 4096;
const MAX_COMPLAINTS = 4;

/** With `-loglevel level+...` a line is "[error] text", or "[h264 @ 0x55] [error] text". */
const ERROR_LINE = /^(?:\[[^\]]+\] )?\[(?:error|fatal|panic)\] (.*)$/;

const running = new Set<ChildProgram>();
const killAll = () => {
  for (const program of running) program.kill();
};

/** A run of ffmpeg or ffprobe, with pipes, without a shell. It does not outlive this process, and Ctrl-C on the terminal does not reach it. */
export class ChildProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** How it ended: an exit code, the name of a signal, or why it could not start. Never rejects; no process is left after it. */
  readonly ended: Promise<number | string>;
  /** True from the moment that it was killed from here. */
  isKilled = false;
  readonly #child: ChildProcess;
  readonly #complaints: string[] = [];

  constructor(path: string, args: readonly string[], { signal, onLine }: ChildProgramOptions = {}) {
    // A process group of its own: the terminal's Ctrl-C goes to ours alone, and a wrapper script is killed with what it started.
    const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, windowsHide: true });
    this.#child = child;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    this.stdin.on('error', () => {}); // it ended before it read all: `ended` says why
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

  /** The last things that it said were wrong, on one line; empty when there was none. */
  get complaint(): string {
    return this.#complaints.join('; ');
  }

  /** Ends it at once; safe to repeat, and when it has ended by itself. */
  kill(): void {
    // What nobody reads would keep the pipes open, and `ended` from coming.
    this.stdin.destroy();
    this.stdout.destroy();
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.isKilled = true;
    try {
      if (process.platform === 'win32') this.#child.kill('SIGKILL');
      else process.kill(-pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }

  /** What is not in the log's form is an error too: that of the system's loader, or of a wrapper script. */
  #keepComplaint(line: string): void {
    const text = ERROR_LINE.exec(line)?.[1] ?? (line.startsWith('[') ? '' : line.trim());
    if (text === '' || this.#complaints.at(-1) === text) return;
    this.#complaints.push(text);
    if (this.#complaints.length > MAX_COMPLAINTS) this.#complaints.shift();
  }
}

/** Runs a program to its end, or to that of its time: all of its standard output. */
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

/** Waits for `work`, and calls `onLate` when it takes longer than that. */
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
