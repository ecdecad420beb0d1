import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Runs a task of process-child.ts in a process of its own. */
function runChild(
  task: string,
): Promise<{ code: number | null; signal: string | null; output: string; errors: string }> {
  const script = fileURLToPath(new URL('./process-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, task], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, output: output.trim(), errors }));
  });
}

describe('a process', () => {
  it('stays alive for a job that nothing else waits for, then ends by itself', async () => {
    expect(await runChild('pending')).toEqual({ code: 0, signal: null, output: 'done', errors: '' });
  });

  it('may exit in the middle of a step, each time', async () => {
    const ends = await Promise.all([1, 2, 3].map(() => runChild('exit')));
    expect(ends).toEqual(ends.map(() => ({ code: 7, signal: null, output: 'done', errors: '' })));
  });

  it('may end by an uncaught error in the middle of a step', async () => {
    const { errors, ...end } = await runChild('throw');
    expect(end).toEqual({ code: 1, signal: null, output: 'done' });
    expect(errors).toContain('Error: on purpose');
  });

  it('may use the addon in its worker threads too', async () => {
    expect(await runChild('workers')).toEqual({ code: 0, signal: null, output: 'done', errors: '' });
  });

  it('may terminate worker threads in the middle of a step, and go on', async () => {
    expect(await runChild('terminate')).toEqual({ code: 0, signal: null, output: 'done', errors: '' });
  });
});
