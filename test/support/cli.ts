import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));

export interface Run {
  code: number | null;
  out: string;
  error: string;
}

/** Runs the command line from its sources, as a process of its own. */
export function cli(args: readonly string[], options: { onStart?: (child: ChildProcess) => void } = {}): Promise<Run> {
  return node([main, ...args], options);
}

/** Runs a TypeScript program of this repository with Node.js. */
export function node(
  args: readonly string[],
  { onStart, env }: { onStart?: (child: ChildProcess) => void; env?: Record<string, string> } = {},
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: root, env: { ...process.env, ...env } });
    const [out, error]: [string[], string[]] = [[], []];
    child.stdout.on('data', (text) => out.push(String(text)));
    child.stderr.on('data', (text) => error.push(String(text)));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: out.join(''), error: error.join('') }));
    onStart?.(child);
  });
}
