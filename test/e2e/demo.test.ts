import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { node } from '../support/cli.ts';
import { temporaryFolder, writeFiles } from '../support/voc.ts';

const demo = (args: readonly string[], env: Record<string, string> = {}) =>
  node(['lib/cli/main.ts', 'demo', ...args], { env });

it('explains itself', async () => {
  const { code, out } = await demo(['--help']);
  expect(code).toBe(0);
  expect(out).toContain('Examples:\n  dinov3-det demo ');
  expect(out).toMatch(/--seed <n> .*\(default: 1\)/);
});

it('refuses a seed that is none, and a directory with other things in it', async () => {
  const seed = await demo(['--seed', '-1']);
  expect(seed).toMatchObject({ code: 2, error: expect.stringContaining('Expected an integer >= 0.') });

  const folder = await temporaryFolder();
  await writeFiles(folder, { 'mine.txt': '' });
  const used = await demo(['--out-dir', folder]);
  expect(used).toMatchObject({
    code: 2,
    out: '',
    error: `Error: --out-dir: ${folder} is not empty. Name a new or empty directory\n`,
  });
  expect(await readdir(folder)).toEqual(['mine.txt']);
});

it('draws nothing where LibTorch is missing', async () => {
  const folder = await temporaryFolder();
  const { code, out, error } = await demo(['--out-dir', join(folder, 'run')], { LIBTORCH: join(folder, 'none') });
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(error).toContain('LibTorch');
  expect(await readdir(folder)).toEqual([]);
});
