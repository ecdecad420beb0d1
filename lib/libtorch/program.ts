import { type ChildProcess, spawn } from 'node:child_process';

/** The name of the Python interpreter, which only brings files here and is never needed to run. */
export const python = process.platform === 'win32' ? 'python' : 'python3';

export type ProgramOptions = {
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  /** Called with each line of its standard output and error. */
  onLine?: (line: string) => void;
};

/**
 * Runs a program to its end and gives its standard output.
 * @throws {Error} naming the program and the end of what it said, when it is absent or fails; the signal's reason on abort.
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    windowsHide: true,
  });
  const stop = () => child.kill();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const [output, errors, ending] = await Promise.all([
      collect(child.stdout, options.onLine),
      collect(child.stderr, options.onLine),
      endingOf(child),
    ]);
    options.signal?.throwIfAborted();
    if (ending === 0) return output;
    throw new Error(`${command} ended with ${ending}: ${tail(errors || output)}`);
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}

/** The exit code or the name of the signal that ended it. */
function endingOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new Error(`${child.spawnfile} was not found on PATH`) : error),
    );
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'an unknown signal'));
  });
}

/** The last million characters of a stream, its whole lines handed on as they come. */
async function collect(stream: NodeJS.ReadableStream, onLine?: (line: string) => void): Promise<string> {
  let text = '';
  let line = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    text = (text + chunk).slice(-1_000_000);
    const lines = (line + chunk).split(/\r?\n|\r/);
    line = lines.pop()!;
    for (const whole of lines) onLine?.(whole);
  }
  if (line !== '') onLine?.(line);
  return text;
}

function tail(text: string): string {
  return text.trim().split('\n').slice(-5).join('\n').slice(-1000) || 'it said nothing';
}
