import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { bundleRuntime } from '../../../lib/libtorch/bundle.ts';
import { cli } from '../../support/cli.ts';
import { expectError } from '../../support/voc.ts';
import { fakeFiles, fakeLibrary, temporaryFolder, writeFiles } from './fake-libtorch.ts';

let folder: string;
let out: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  out = join(folder, 'out');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const other = process.arch === 'x64' ? 'arm64' : 'x64';

describe('what cannot be bundled', () => {
  it('is said, and leaves nothing', async () => {
    await expect(bundleRuntime(out, { platform: 'freebsd' as never })).rejects.toThrow('one of linux, darwin, win32');
    await expect(bundleRuntime(out, { arch: 'ia32' as never })).rejects.toThrow('one of x64, arm64 for arch');
    await expect(bundleRuntime(out, { variant: 'gpu' as never })).rejects.toThrow('one of cpu, cuda for variant');
    await expectError(
      bundleRuntime(out, { platform: 'win32', arch: 'arm64' }),
      'ADDON_LOAD_FAILED',
      'No prebuilt addon for win32 arm64',
    );
    const from = (files: Record<string, Buffer>) => writeFiles(join(folder, 'from'), files);
    const cases: [Record<string, Buffer>, Parameters<typeof bundleRuntime>[1], string][] = [
      [{ 'lib/x.so': Buffer.alloc(9) }, {}, 'it has no lib/libc10.so'],
      [fakeFiles(), { variant: 'cuda' }, 'it is a cpu LibTorch'],
      [{ 'lib/libc10.so': fakeLibrary(other) }, {}, `libc10.so is built for ${other}`],
      [{ 'lib/libc10.so': Buffer.from('text') }, {}, 'libc10.so is built for another system'],
    ];
    for (const [files, options, message] of cases) {
      const made = bundleRuntime(out, { ...options, from: await from(files) });
      await expectError(made, 'LIBTORCH_NOT_FOUND', message, join(folder, 'from'), 'npx dinov3-det install');
    }
    // Its libraries are headers only.
    const unusable = bundleRuntime(out, { from: await from(fakeFiles()) });
    await expectError(unusable, 'ADDON_LOAD_FAILED', 'The bundle cannot be loaded');
    expect(await readdir(folder)).toEqual(['from']);
  });

  it('a cache without one says how to get one', async () => {
    vi.stubEnv('LIBTORCH', '');
    vi.stubEnv('DINOV3_DET_CACHE', join(folder, 'cache'));
    await expectError(bundleRuntime(out), 'LIBTORCH_NOT_FOUND', join(folder, 'cache'), 'npx dinov3-det install');
  });

  it('an abort leaves what was there', async () => {
    await writeFiles(out, { 'bundle.json': Buffer.from('{}') });
    const controller = new AbortController();
    const onBytes = () => controller.abort(new Error('enough'));
    await expect(bundleRuntime(out, { signal: controller.signal, onBytes })).rejects.toThrow('enough');
    expect(await readdir(folder)).toEqual(['out']);
    expect(await readFile(join(out, 'bundle.json'), 'utf8')).toBe('{}');
  });
});

describe('dinov3-det bundle', () => {
  it('collects what is needed and nothing more, prints sizes, and replaces its own folder only', async () => {
    await writeFiles(out, { 'bundle.json': Buffer.from('{}'), old: Buffer.from('of an earlier bundle') });
    const made = await cli(['bundle', '--out', out]);
    expect(made.code, made.error).toBe(0);
    const manifest = JSON.parse(await readFile(join(out, 'bundle.json'), 'utf8'));
    expect(manifest).toMatchObject({ platform: process.platform, arch: process.arch });
    const files = (await readdir(out, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1));
    const listed = manifest.files.map(({ path }: { path: string }) => path);
    expect(paths.sort()).toEqual([...listed, 'bundle.json', 'libtorch/build-version'].sort());
    expect(paths).toEqual(expect.arrayContaining(['addon/dinov3_det.node', 'addon/loader/libtorch_loader.node']));
    expect(paths).toEqual(expect.arrayContaining(['licenses/dinov3-det.txt', 'licenses/libtorch.txt']));
    expect(paths.join('\n')).not.toMatch(/\.(h|a|lib|py|cmake)$|python|global_deps|^old$/m);
    for (const { path, bytes } of manifest.files) {
      expect((await stat(join(out, path))).size).toBe(bytes);
      expect(made.out).toMatch(new RegExp(`^${path.replaceAll('.', '\\.')} +${bytes.toLocaleString('en-US')}$`, 'm'));
    }
    if (process.platform === 'linux') {
      expect(manifest.variant === 'cuda' || paths.filter((path) => path.startsWith('libtorch/lib/')).length).toBe(4);
      expect(manifest.system).toContain('libc.so.6');
      expect(manifest.system.join()).not.toMatch(/torch|c10|gomp/);
    }
  });

  it.each([
    [['--platform', 'beos'], 'Allowed choices are linux, darwin, win32.'],
    [['--variant', 'rocm'], 'Allowed choices are cpu, cuda.'],
    [[], 'is not empty and holds no bundle.json'],
  ])('a wrong command line %j', async (args, message) => {
    await mkdir(out);
    await writeFile(join(out, 'mine'), 'not to be lost');
    const { code, error } = await cli(['bundle', '--out', out, ...args]);
    expect(code).toBe(2);
    expect(error).toContain(message);
    expect(await readdir(out)).toEqual(['mine']);
  });
});
