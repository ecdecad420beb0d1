import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';

import { type manifest, packedPackage, program } from '../support/tarball.ts';
import { temporaryFolder } from '../support/voc.ts';

const script = fileURLToPath(new URL('../../scripts/check-package.mjs', import.meta.url));
const check = (path: string) =>
  program(process.execPath, [script, path]).catch(({ stderr }: { stderr: string }) => stderr.trim());

let tarball: string;
beforeAll(async () => {
  tarball = await packedPackage();
});

/** The content of the tarball in a folder of its own, and a way to pack it again. */
async function unpacked() {
  const folder = await temporaryFolder();
  await program('tar', ['-xzf', tarball, '-C', folder]);
  const path = (name: string) => join(folder, 'package', name);
  const pack = async () => {
    const packed = join(folder, 'changed.tgz');
    await program('tar', ['-czf', packed, '-C', folder, 'package']);
    return packed;
  };
  return { path, pack };
}

it('depends on ranges, which a project that has them already can share', async () => {
  const { path } = await unpacked();
  const { dependencies } = JSON.parse(await readFile(path('package.json'), 'utf8'));
  for (const [name, range] of Object.entries(dependencies)) expect(range, name).toMatch(/^\^\d+\.\d+\.\d+$/);
});

it('is in order: its files, its exports and their types, its size; publint and attw find nothing', async () => {
  expect(await check(tarball)).toMatch(/All good!.*dinov3-det\/electron.*is in order\n$/s);
});

describe('the check finds', () => {
  const addon = `prebuilds/${process.platform}-${process.arch}/loader/libtorch_loader.node`;
  const change = (edit: (json: typeof manifest) => void) => async (path: (name: string) => string) => {
    const json = JSON.parse(await readFile(path('package.json'), 'utf8'));
    edit(json);
    await writeFile(path('package.json'), JSON.stringify(json));
  };

  it.each<[string, (path: (name: string) => string) => Promise<void>, string]>([
    ['a source', (path) => writeFile(path('dist/index.ts'), ''), 'dist/index.ts does not belong into the package'],
    ['LibTorch', (path) => writeFile(path('prebuilds/linux-x64/libc10.so'), ''), 'libc10.so does not belong'],
    ['a missing addon', (path) => rm(path(addon)), `${addon} is missing: npm run prebuild`],
    ['an install script', change((json) => Object.assign(json.scripts, { install: 'x' })), 'has the script "install"'],
    ['a build at install', change((json) => delete json.gypfile), 'does not say "gypfile": false'],
    ['a missing file', (path) => rm(path('dist/index.d.ts')), 'names ./dist/index.d.ts, which is not in the package'],
    ['an untyped export', change((json) => delete json.exports['.'].types), 'the export "." has no types'],
    ['an absolute path', (path) => appendFile(path(addon), '\0/builds/x/native/lane.cc\0'), '/builds/x/native/lane.cc'],
    ['a home', (path) => appendFile(path('dist/index.js'), `// ${script}`), 'a path of the machine that built it'],
    [
      'a package that is not installed',
      (path) => appendFile(path('dist/cli/main.js'), "await import('echarts/core');"),
      'dist/cli/main.js imports echarts/core, which an install does not bring',
    ],
    ['a missing licence', (path) => rm(path('dist/chunks/LICENSE.txt')), 'dist/chunks/LICENSE.txt is missing'],
    [
      'a licence cut short',
      (path) => truncate(path('dist/chunks/LICENSE.txt'), 9000),
      'LICENSE.txt lacks the licence of zrender',
    ],
    ['too much', (path) => writeFile(path('dist/big.js'), randomBytes(3e6)), 'the tarball has '],
  ])('%s', async (_, edit, problem) => {
    const { path, pack } = await unpacked();
    await edit(path);
    expect(await check(await pack())).toContain(problem);
  });

  it('other platforms, for a release', async () => {
    const found = await program(process.execPath, [script, tarball, '--every-platform']).catch((error) => error.stderr);
    for (const platform of ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64']) {
      const isOurs = platform === `${process.platform}-${process.arch}`;
      expect(found.includes(`prebuilds/${platform}/`), platform).toBe(!isOurs);
    }
  });
});

const hasReadelf = spawnSync('readelf', ['--version']).status === 0;

it.skipIf(!hasReadelf)('looks for libraries where the loader put them, and nowhere else (needs readelf)', async () => {
  const { path } = await unpacked();
  const [addon, loader] = await Promise.all(
    ['node.napi.glibc.node', 'loader/libtorch_loader.node'].map((file) =>
      program('readelf', ['--dynamic', '--wide', path(`prebuilds/linux-${process.arch}/${file}`)]),
    ),
  );
  expect(`${addon}${loader}`).not.toMatch(/RPATH|RUNPATH/);
  expect(addon).toContain('[libtorch_cpu.so]');
  expect(loader).not.toMatch(/torch|c10/);
});
