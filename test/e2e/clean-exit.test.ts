import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { writeDrawnScenes } from '../../lib/cli/demo/drawn-scenes.ts';

const script = fileURLToPath(new URL('./clean-exit-child.mjs', import.meta.url));
const works = ['train', 'detect'] as const;
const rounds = 50;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  await writeDrawnScenes(folder, { train: 4, valid: 2, test: 0, seed: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a task of clean-exit-child.mjs. One that is silent for a minute hangs: it is ended, and that is seen in its `signal`. */
function child(
  ...args: string[]
): Promise<{ code: number | null; signal: string | null; output: string; errors: string }> {
  const running = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const hanging = setTimeout(() => running.kill('SIGKILL'), 60_000);
  let [output, errors] = ['', ''];
  running.stdout.on('data', (text) => {
    output += text;
    hanging.refresh();
  });
  running.stderr.on('data', (text) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    running.once('error', reject);
    running.once('close', (code, signal) => {
      clearTimeout(hanging);
      resolve({ code, signal, output, errors });
    });
  });
}

describe.each(works)('a process in the middle of %s', (work) => {
  it(`ends when it is told to, at ${rounds} random moments`, { timeout: 600_000 }, async () => {
    // Before the first step LibTorch and images are loaded; after the second one an epoch of training ends.
    const moments = Array.from({ length: rounds }, (_, round) => [round % 3, (60 * Math.random()).toFixed(1)] as const);
    const endOne = async (): Promise<void> => {
      const moment = moments.pop();
      if (moment === undefined) return;
      const [steps, delay] = moment;
      const end = await child('exit', work, folder, String(steps), delay);
      expect(end, `${steps} steps and ${delay} ms`).toEqual({ code: 7, signal: null, output: 'exit', errors: '' });
      await endOne();
    };
    await Promise.all([endOne(), endOne()]);
  });
});

it(`worker threads end in the middle of either, at ${rounds} random moments`, { timeout: 600_000 }, async () => {
  const half = rounds / 2;
  const ends = await Promise.all(works.map((work) => child('terminate', work, folder, String(half))));
  for (const { output, ...end } of ends) {
    expect(end, output.split('\n').at(-2)!).toEqual({ code: 0, signal: null, errors: '' });
    expect(output).toMatch(new RegExp(`\\nround ${half}: .*\\ndone\\n$`));
  }
});

it('several worker threads have detectors of their own, and go on when one is ended', async () => {
  expect(await child('several', folder)).toEqual({
    code: 0,
    signal: null,
    output: 'codes 0,1,0 different results 1\n',
    errors: '',
  });
});
