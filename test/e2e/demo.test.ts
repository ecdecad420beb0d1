import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { node } from '../support/cli.ts';
import { temporaryFolder, writeFiles } from '../support/voc.ts';

const demo = (...args: string[]) => node(['lib/cli/commands/demo.ts', ...args]);

it('explains itself', async () => {
  const { code, out } = await demo('--help');
  expect(code).toBe(0);
  expect(out).toContain('Examples:\n  npm run demo\n');
  expect(out).toMatch(/--seed <n> .*\(default: 1\)/);
});

it('refuses a seed that is none, and a directory with other things in it', async () => {
  const seed = await demo('--seed', '-1');
  expect(seed).toMatchObject({ code: 2, error: expect.stringContaining('Expected an integer >= 0.') });

  const folder = await temporaryFolder();
  await writeFiles(folder, { 'mine.txt': '' });
  const used = await demo('--out-dir', folder);
  expect(used).toMatchObject({
    code: 2,
    out: '',
    error: `Error: --out-dir: ${folder} is not empty. Name a new or empty directory\n`,
  });
  expect(await readdir(folder)).toEqual(['mine.txt']);
});
