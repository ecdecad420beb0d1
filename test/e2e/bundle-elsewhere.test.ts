import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeFiles, fakeLibrary, writeFiles } from '../lib/libtorch/fake-libtorch.ts';
import { writeModules } from '../support/packaged-app.ts';

/** A published package has addons of every platform: made up here, they are collected and not run. */
let folder: string;
let main: string;

const elsewhere = process.arch === 'x64' ? 'arm64' : 'x64';
const text = Buffer.from('of another system');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  await writeModules(folder);
  const root = join(folder, 'node_modules', 'dinov3-det');
  main = join(root, 'dist', 'cli', 'main.js');
  for (const [name, addon] of [
    [`linux-${elsewhere}`, fakeLibrary(elsewhere)],
    ['win32-x64', text],
  ] as const) {
    await writeFiles(join(root, 'prebuilds', name), { 'dinov3-det.node': addon, 'loader/libtorch_loader.node': addon });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function bundle(platform: string, arch: string, files: Record<string, Buffer>, place: 'cache' | 'from') {
  const [out, cache] = [join(folder, `${platform} ${place}`), join(folder, `cache of ${platform}`)];
  const from = join(folder, `from ${platform}`);
  if (place === 'cache') await writeFiles(join(cache, 'libtorch-2.13.0-cpu'), { ...files, 'installed.json': text });
  else await writeFiles(from, files);
  const args = ['bundle', '--out', out, '--platform', platform, '--arch', arch];
  const env = { ...process.env, DINOV3_DET_CACHE: cache, LIBTORCH: '', LIBTORCH_USE_PYTORCH: '' };
  await promisify(execFile)(process.execPath, [main, ...args, ...(place === 'from' ? ['--from', from] : [])], { env });
  const manifest = JSON.parse(await readFile(join(out, 'bundle.json'), 'utf8'));
  return { manifest, libraries: (await readdir(join(out, 'libtorch', 'lib'))).sort() };
}

const windows = {
  ...Object.fromEntries(['c10', 'torch_cpu', 'torch', 'libiomp5md', 'torch_python'].map((n) => [`lib/${n}.dll`, text])),
  'lib/c10.lib': text,
  'lib/protobuf.pdb': text,
  'build-version': Buffer.from('2.13.0+cpu\n'),
};

it('bundles for Windows what a folder holds, but for Python and what only a compiler needs', async () => {
  const { manifest, libraries } = await bundle('win32', 'x64', windows, 'from');
  expect(libraries).toEqual(['c10.dll', 'libiomp5md.dll', 'torch.dll', 'torch_cpu.dll']);
  expect(manifest).toMatchObject({
    platform: 'win32',
    arch: 'x64',
    variant: 'cpu',
    libtorch: '2.13.0+cpu',
    system: [],
  });
});

it('bundles for another Linux what a cache from there holds', async () => {
  const files = fakeFiles({ library: fakeLibrary(elsewhere) });
  const { manifest, libraries } = await bundle('linux', elsewhere, files, 'cache');
  // The made-up libraries name no others.
  expect(libraries).toEqual(['libc10.so', 'libtorch.so', 'libtorch_cpu.so']);
  expect(manifest).toMatchObject({ platform: 'linux', arch: elsewhere });
});

it("says that this system's cache does not hold it", async () => {
  const here = bundle('win32', 'x64', fakeFiles(), 'cache');
  await expect(here).rejects.toThrow(/No LibTorch for win32 x64 to bundle.*no lib\/c10\.dll.*with --from/s);
});
