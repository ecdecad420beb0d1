import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { squareClasses } from '../../support/squares.ts';
import { noise } from '../../support/voc.ts';

let folder: string;
let args: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  args = [join(folder, 'checkpoint'), join(folder, 'image.png')];
  const imageSize = { width: 64, height: 64 };
  await using detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  await detector.save(args[0]!);
  await noise(60, 40).png().toFile(args[1]!);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a host to its end: a process that hangs fails the test by its timeout. */
function run(kind: string, task: string): Promise<{ ending: unknown; out: string }> {
  const program = fileURLToPath(new URL('./exit-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, kind, task, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const out: string[] = [];
  child.stdout.on('data', (text) => out.push(String(text)));
  // `close` comes when nobody has the output open any more: when the host's own process has ended too.
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ ending: signal ?? code, out: out.join('') })),
  );
}

it.each([
  ['a child process', 'idle', 0],
  ['a child process', 'dispose', 0],
  ['a child process', 'throw', 1],
  ['a child process', 'die', 'SIGKILL'],
  ['a worker thread', 'idle', 0],
  ['a worker thread', 'exit', 7],
])('with detectors in %s, a program ends by itself, and leaves nothing behind: %s', async (kind, task, ending) => {
  expect(await run(kind, task)).toEqual({ ending, out: 'found true\n' });
  if (process.platform !== 'win32') {
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(folder);
  }
});
