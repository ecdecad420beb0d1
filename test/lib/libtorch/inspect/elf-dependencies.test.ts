import { execFileSync, spawnSync } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLibtorch } from '../../../../lib/libtorch/find.ts';
import { neededLibraries } from '../../../../lib/libtorch/inspect/elf-dependencies.ts';
import { libraryFile } from '../../../../lib/libtorch/inspect/libraries.ts';
import { addonPath } from '../../../../lib/libtorch/load.ts';
import { temporaryFolder } from '../fake-libtorch.ts';

const hasReadelf = spawnSync('readelf', ['--version']).status === 0;

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(process.platform !== 'linux')('libraries that a shared object needs (skipped: not on Linux)', () => {
  it.skipIf(!hasReadelf)('are those that readelf names (skipped where readelf is missing)', async () => {
    const { lib } = await findLibtorch();
    const libraries = ['c10', 'torch_cpu', 'torch'].map((name) => join(lib, libraryFile(name)));
    for (const path of [addonPath(), process.execPath, ...libraries]) {
      const text = execFileSync('readelf', ['-d', '-W', path], { encoding: 'utf8', maxBuffer: 2 ** 26 });
      const expected = Array.from(text.matchAll(/\(NEEDED\).*\[(.+)\]/g), (match) => match[1]);
      expect(expected.length).toBeGreaterThan(0);
      expect(await neededLibraries(path)).toEqual(expected);
    }
  });

  it('of a file that is cut off or changed anywhere in its tables are an error, or names', async () => {
    const whole = await readFile(addonPath());
    const path = join(folder, 'damaged.so');
    for (const length of [0, 3, 63, 100, 64 + 56, whole.length >> 2]) {
      await writeFile(path, whole.subarray(0, length));
      await expect(neededLibraries(path)).rejects.toThrow(/cut short|ELF|damaged/);
    }
    for (let at = 0; at < 600; at++) {
      const damaged = Buffer.from(whole.subarray(0, 4096));
      damaged[at]! ^= 0xff;
      await writeFile(path, damaged);
      const names = await neededLibraries(path).catch((error: Error) => error);
      expect(Array.isArray(names) || names instanceof Error).toBe(true);
      if (names instanceof Error) expect(names.message).toMatch(/cut short|ELF|damaged|segment|string table/);
    }
  });
});

it('are not looked for in what is no ELF file', async () => {
  const path = join(folder, 'text');
  await writeFile(path, 'MZ'.padEnd(200, '.'));
  await expect(neededLibraries(path)).rejects.toThrow('it is no 64-bit ELF file');
});
