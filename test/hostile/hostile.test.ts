import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../support/shared.ts';
import type { Outcome, Trial } from './child.ts';
import type { HostileFile } from './hostile-file.ts';
import { hostilePickles } from './pickle.ts';
import { hostilePth } from './pth.ts';
import { hostileSafetensors } from './safetensors.ts';
import { hostileTorchScript } from './torchscript.ts';

const formats: readonly (readonly [format: string, files: readonly HostileFile[], given: Trial['given']])[] = [
  ['.pth file', hostilePth, 'weights'],
  ['pickle', hostilePickles, 'weights'],
  ['safetensors file', hostileSafetensors, 'weights'],
  ['TorchScript file', hostileTorchScript, 'torchscript'],
];
const MAX_MILLISECONDS = 100;
const MAX_BYTES = 64 << 20;

interface Tried extends Outcome {
  what: string;
  path: string;
  bytes: number;
  /** Whether its payload wrote what it would write. */
  wrote: boolean;
}

let folder: string;
let started: string[];
const tried = new Map<string, Tried>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-hostile-'));
  for (const name of ['cwd', 'files', 'targets']) await mkdir(join(folder, name));
  const trials: (Trial & { key: string; what: string; bytes: number; target: string })[] = [];
  for (const [format, files, given] of formats) {
    for (const [what, make] of files) {
      const number = `${trials.length}`;
      const [path, target] = [join(folder, 'files', number), join(folder, 'targets', number)];
      const content = await make(target);
      await writeFile(path, content);
      trials.push({ key: `${format}: ${what}`, what, path, given, bytes: content.length, target });
    }
  }
  const { outcomes, ...rest } = await tryAll(trials);
  started = rest.started;
  for (const [index, { key, target, ...trial }] of trials.entries())
    tried.set(key, { ...trial, ...outcomes[index]!, wrote: existsSync(target) });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Gives the files to a Detector in a process of its own, in an empty directory. */
async function tryAll(trials: readonly Trial[]): Promise<{ outcomes: Outcome[]; started: string[] }> {
  const soundFiles: Trial[] = [
    { path: fixture('pth/last_model.pth'), given: 'weights' },
    { path: fixture('torchscript/one_map.pt'), given: 'torchscript' },
    { path: fixture('torchscript/three_maps_traced.pt'), given: 'torchscript' },
  ];
  const [plan, out] = [join(folder, 'plan.json'), join(folder, 'outcomes.json')];
  await writeFile(plan, JSON.stringify({ soundFiles, trials }));
  const child = fileURLToPath(new URL('child.ts', import.meta.url));
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const run = spawn(process.execPath, ['--expose-gc', '--import', tsx, child, plan, out], {
    cwd: join(folder, 'cwd'),
    stdio: 'inherit',
  });
  expect(await once(run, 'close')).toEqual([0, null]);
  return JSON.parse(await readFile(out, 'utf8')) as { outcomes: Outcome[]; started: string[] };
}

describe.each(formats)('a hostile %s', (format, files) => {
  it.each(files)('is refused at once, by its rule: %s', (what, _, rule) => {
    const { error, milliseconds, path, wrote } = tried.get(`${format}: ${what}`)!;
    expect(error, 'the file was taken').toBeDefined();
    expect(error).toMatchObject({
      isDetectorError: true,
      code: expect.stringMatching(/^(WEIGHTS_INVALID|TORCHSCRIPT_REFUSED)$/),
    });
    expect(error!.message).toContain(path);
    expect(error!.message).toContain(rule);
    expect(milliseconds).toBeLessThan(MAX_MILLISECONDS);
    expect(wrote).toBe(false);
  });
});

describe('the hostile files', () => {
  it('are at least sixty, each of its own', () => {
    expect(tried.size).toBe(formats.reduce((sum, [, files]) => sum + files.length, 0));
    expect(tried.size).toBeGreaterThanOrEqual(60);
  });

  it.skipIf(process.platform !== 'linux')(
    'take no more memory than their size and 64 MiB (Linux alone tells the peak)',
    () => {
      const most = [...tried.values()].map(({ what, bytes, peakBytes }) => ({ what, beyond: peakBytes! - bytes }));
      expect(most.filter(({ beyond }) => beyond > MAX_BYTES)).toEqual([]);
    },
  );

  it('write no file and start no process', async () => {
    expect(await readdir(join(folder, 'cwd'))).toEqual([]);
    expect(await readdir(join(folder, 'targets'))).toEqual([]);
    expect(started).toEqual([]);
  });
});
