import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import { cacheRoot } from '../../../lib/files/cache-root.ts';
import { markerFile } from '../../../lib/libtorch/cache.ts';
import { findLibtorch } from '../../../lib/libtorch/find.ts';
import { currentHost, whyNotLoadable, whyWrongLibc } from '../../../lib/libtorch/inspect/elf.ts';
import { isWanted } from '../../../lib/libtorch/inspect/libraries.ts';
import { isSupportedVersion, readVersion } from '../../../lib/libtorch/version.ts';
import { fakeFiles, fakeLibrary, temporaryFolder, writeFiles } from './fake-libtorch.ts';

let root: string;
let cache: string;
beforeEach(async () => {
  root = await temporaryFolder();
  cache = join(root, 'cache');
  vi.stubEnv('DINOV3_DET_CACHE', cache);
  vi.stubEnv('LIBTORCH', '');
  vi.stubEnv('LIBTORCH_USE_PYTORCH', '');
  return () => vi.unstubAllEnvs();
});

const otherArch = process.arch === 'x64' ? 'arm64' : 'x64';

async function installed(name: string, options: Parameters<typeof fakeFiles>[0] = {}): Promise<string> {
  return writeFiles(join(cache, name), { ...fakeFiles(options), [markerFile]: Buffer.from('{}') });
}

/** A python3 that answers with this folder, first on PATH. */
async function fakePython(answer: string): Promise<void> {
  await mkdir(join(root, 'bin'), { recursive: true });
  await writeFile(join(root, 'bin', 'python3'), `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${join(root, 'bin')}:${process.env.PATH}`);
}

describe('the order of places', () => {
  test('the option, LIBTORCH, the torch of python3, the cache', async () => {
    const option = await writeFiles(join(root, 'option'), fakeFiles());
    const variable = await writeFiles(join(root, 'variable'), fakeFiles({ version: '2.12.1' }));
    const package_ = await writeFiles(join(root, 'site', 'torch'), fakeFiles({ version: '2.11.0+cu130', cuda: true }));
    const cached = await installed('libtorch-2.13.0-cpu');
    await fakePython(package_);
    vi.stubEnv('LIBTORCH', variable);
    vi.stubEnv('LIBTORCH_USE_PYTORCH', '1');

    expect(await findLibtorch({ libtorch: option })).toEqual({
      dir: option,
      lib: join(option, 'lib'),
      version: '2.13.0+cpu',
      variant: 'cpu',
      source: 'option',
    });
    expect(await findLibtorch()).toMatchObject({ dir: variable, version: '2.12.1', source: 'LIBTORCH' });
    vi.stubEnv('LIBTORCH', '');
    expect(await findLibtorch()).toMatchObject({
      dir: package_,
      version: '2.11.0+cu130',
      variant: 'cuda',
      source: 'LIBTORCH_USE_PYTORCH',
    });
    vi.stubEnv('LIBTORCH_USE_PYTORCH', '0');
    expect(await findLibtorch()).toMatchObject({ dir: cached, source: 'cache' });
  });

  test('in the cache the newest, and CUDA before CPU', async () => {
    await installed('libtorch-2.9.0-cpu', { version: '2.9.0' });
    await installed('libtorch-2.11.0-cuda', { version: '2.11.0', cuda: true });
    expect((await findLibtorch()).version).toBe('2.11.0');
    await installed('libtorch-2.13.0-cpu');
    expect((await findLibtorch()).variant).toBe('cpu');
    const cuda = await installed('libtorch-2.13.0-cuda', { cuda: true });
    expect(await findLibtorch()).toMatchObject({ dir: cuda, variant: 'cuda' });
  });

  test('a folder that holds libtorch/ or torch/ is taken as that', async () => {
    await writeFiles(join(root, 'unzipped', 'libtorch'), fakeFiles());
    await writeFiles(join(root, 'wheel', 'torch'), fakeFiles());
    expect((await findLibtorch({ libtorch: join(root, 'unzipped') })).dir).toBe(join(root, 'unzipped', 'libtorch'));
    expect((await findLibtorch({ libtorch: join(root, 'wheel') })).lib).toBe(join(root, 'wheel', 'torch', 'lib'));
  });
});

describe('what cannot be used', () => {
  test('nothing anywhere: every place, and the one command', async () => {
    await expect(findLibtorch()).rejects.toMatchObject({
      code: 'LIBTORCH_NOT_FOUND',
      message: [
        'LibTorch 2.11 to 2.13 was not found. Tried:',
        '  - option libtorch: not given',
        '  - LIBTORCH: not set',
        '  - LIBTORCH_USE_PYTORCH=1: not set',
        `  - cache ${cache}: no LibTorch is installed there`,
        'Install it with: npx dinov3-det install',
      ].join('\n'),
    });
  });

  test('each unusable folder of the cache is listed with its reason', async () => {
    await installed('libtorch-2.10.0-cpu', { version: '2.10.0' });
    await installed('libtorch-2.11.0-cpu', { library: fakeLibrary(otherArch) });
    await writeFiles(join(cache, 'libtorch-2.12.0-cpu'), fakeFiles());
    const broken = await installed('libtorch-2.13.0-cpu');
    await rm(join(broken, 'lib', 'libtorch_cpu.so'));
    const error: Error = await findLibtorch().catch((thrown) => thrown);
    const lines = error.message.split('\n').filter((line) => line.includes('cache'));
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/2\.13\.0-cpu: library libtorch_cpu\.so is missing/);
    expect(lines[1]).toMatch(/2\.12\.0-cpu: no valid installed\.json: the install was not finished/);
    expect(lines[2]).toMatch(
      new RegExp(`2\\.11\\.0-cpu: .*libc10\\.so is built for ${otherArch}, and this Node.js for`),
    );
    expect(lines[3]).toMatch(/2\.10\.0-cpu: version 2\.10\.0 .* is not 2\.11 to 2\.13/);
  });

  test('a place that was asked for is never passed over', async () => {
    await installed('libtorch-2.13.0-cpu');
    const old = await writeFiles(join(root, 'old'), fakeFiles({ version: '2.4.1' }));
    await expect(findLibtorch({ libtorch: old })).rejects.toMatchObject({
      code: 'LIBTORCH_INCOMPATIBLE',
      message: expect.stringMatching(/^option libtorch asks for .*old, which cannot be used: version 2\.4\.1/),
    });
    vi.stubEnv('LIBTORCH', join(root, 'absent'));
    await expect(findLibtorch()).rejects.toThrow(/^LIBTORCH asks for .*absent.*: no lib\/libc10\.so/);
    vi.stubEnv('LIBTORCH', '');
    vi.stubEnv('LIBTORCH_USE_PYTORCH', '1');
    await fakePython('');
    await expect(findLibtorch()).rejects.toThrow(
      /LIBTORCH_USE_PYTORCH=1 asks for the torch of python3, but it has none/,
    );
    vi.stubEnv('PATH', join(root, 'nothing'));
    await expect(findLibtorch()).rejects.toThrow(/python3 was not found on PATH/);
  });
});

describe('versions', () => {
  const header =
    '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 12\n/// patch\n#define TORCH_VERSION_PATCH 1\n' +
    '#define TORCH_VERSION \\\n  "2.12.1"\n';
  test.each([
    [{ 'version.py': "__all__ = ['__version__']\n__version__ = '2.13.0+cpu'\ncuda = None" }, '2.13.0+cpu'],
    [{ 'build-version': '2.11.0+cu130\n' }, '2.11.0+cu130'],
    [{ 'include/torch/headeronly/version.h': header }, '2.12.1'],
    [{ 'include/torch/csrc/api/include/torch/version.h': header }, '2.12.1'],
    [{ 'version.py': 'garbage', 'build-version': '2.13.0' }, '2.13.0'],
    [{ 'build-version': 'garbage' }, undefined],
    [{}, undefined],
  ])('%o says %s', async (files, version) => {
    expect(await readVersion(async (path) => (files as Record<string, string>)[path])).toBe(version);
  });

  test.each([
    ['2.11.0', true],
    ['2.13.1+cu130', true],
    ['2.10.9', false],
    ['2.14.0', false],
    ['1.12.0', false],
    ['3.12.0', false],
    ['nonsense', false],
  ])('%s is supported: %s', (version, isSupported) => {
    expect(isSupportedVersion(version)).toBe(isSupported);
  });
});

describe('libraries of Linux', () => {
  const host = { arch: 'x64', glibc: '2.31' };
  async function library(bytes: Buffer): Promise<string> {
    const path = join(root, 'lib.so');
    await writeFile(path, bytes);
    return path;
  }

  test('the format and architecture of an ELF header', async () => {
    expect(await whyNotLoadable(await library(fakeLibrary('x64')), host)).toBeUndefined();
    expect(await whyNotLoadable(await library(fakeLibrary('arm64')), host)).toMatch(
      /built for arm64.*Node\.js for x64/,
    );
    expect(await whyNotLoadable(await library(Buffer.from('not a library at all, but long')), host)).toMatch(
      /not an ELF/,
    );
    expect(await whyNotLoadable(await library(fakeLibrary().subarray(0, 10)), host)).toMatch(/not an ELF/);
    expect(await whyNotLoadable(process.execPath, currentHost())).toBeUndefined();
  });

  test('the C library', async () => {
    const path = await library(fakeLibrary('x64', 'GLIBC_2.28\0GLIBC_2.4\0'));
    expect(await whyWrongLibc(path, host)).toBeUndefined();
    expect(await whyWrongLibc(path, { ...host, glibc: '2.17' })).toMatch(
      /needs glibc 2\.28, and this system has 2\.17/,
    );
    expect(await whyWrongLibc(path, { ...host, glibc: undefined })).toMatch(/needs glibc 2\.28.*runs on musl/);
    const musl = await library(fakeLibrary('x64', 'libc.musl-x86_64.so.1\0'));
    expect(await whyWrongLibc(musl, host)).toMatch(/built for musl/);
    expect(await whyWrongLibc(musl, { ...host, glibc: undefined })).toBeUndefined();
  });
});

test('the cache is where the system keeps caches, unless DINOV3_DET_CACHE names a folder', () => {
  expect(cacheRoot({ DINOV3_DET_CACHE: '/x', XDG_CACHE_HOME: '/y' }, 'linux')).toBe('/x');
  expect(cacheRoot({ XDG_CACHE_HOME: '/y' }, 'linux')).toBe('/y/dinov3-det');
  expect(cacheRoot({}, 'linux')).toMatch(/\/\.cache\/dinov3-det$/);
  expect(cacheRoot({}, 'darwin')).toMatch(/\/Library\/Caches\/dinov3-det$/);
  expect(cacheRoot({ LOCALAPPDATA: '/z' }, 'win32')).toBe('/z/dinov3-det');
});

test.each([
  ['lib/libtorch_cpu.so', true],
  ['lib/libgomp-98b21ff3.so.1', true],
  ['lib/libcudnn.so.9', true],
  ['lib/libtorch_cuda_linalg.so', true],
  ['lib/c10.dll', true],
  ['include/ATen/ATen.h', true],
  ['share/cmake/Torch/TorchConfig.cmake', true],
  ['build-version', true],
  ['lib/libtorch_python.so', false],
  ['lib/libtorchbind_test.so', false],
  ['lib/libshm/x.so', false],
  ['lib/libaoti_custom_ops.so', false],
  ['lib/libbackend_with_compiler.so', false],
  ['lib/libprotobuf.a', false],
  ['bin/protoc', false],
  ['__init__.py', false],
  ['', false],
])('of an archive %s is kept: %s', (path, isKept) => {
  expect(isWanted(path)).toBe(isKept);
});
