import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freshDirectory, resumableRun } from '../../../../lib/cli/options/out-dir.ts';
import { UsageError } from '../../../../lib/cli/usage-error.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

describe('freshDirectory', () => {
  it('is the name itself as long as nothing is in it', async () => {
    const base = join(await temporaryFolder(), 'runs', 'train');
    expect(await freshDirectory(base)).toBe(base);
    await mkdir(base, { recursive: true });
    expect(await freshDirectory(base)).toBe(base);
  });

  it('counts on from the highest number in use, files and other names aside', async () => {
    const folder = await temporaryFolder();
    const base = join(folder, 'train');
    await writeFiles(folder, { 'train/a': '', 'train-x/a': '', 'train-02/a': '', 'trainer-7/a': '', 'train-/a': '' });
    expect(await freshDirectory(base)).toBe(`${base}-2`);
    await writeFiles(folder, { 'train-9/a': '', 'train-11': 'a file' });
    expect(await freshDirectory(base)).toBe(`${base}-12`);
  });
});

describe('resumableRun', () => {
  it('is the newest run with a last checkpoint, or the one named', async () => {
    const folder = await temporaryFolder();
    const base = join(folder, 'train');
    await writeFiles(folder, {
      'train/last/a': '',
      'train-2/last/a': '',
      'train-10/last/a': '',
      'train-11/best/a': '',
    });
    expect(await resumableRun(base, undefined)).toBe(`${base}-10`);
    expect(await resumableRun(base, `${base}-2`)).toBe(`${base}-2`);
  });

  it('says that there is none', async () => {
    const base = join(await temporaryFolder(), 'train');
    await expect(resumableRun(base, undefined)).rejects.toThrow(UsageError);
    await expect(resumableRun(base, '/nowhere/run')).rejects.toThrow('in /nowhere/run');
  });
});
