import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import { findLibtorch } from '../../../../lib/libtorch/find.ts';
import { proveLibtorch } from '../../../../lib/libtorch/inspect/prove.ts';
import { type InstallOptions, installLibtorch, planInstall } from '../../../../lib/libtorch/install/install.ts';
import type { LibtorchArchiveSource } from '../../../../lib/libtorch/install/sources.ts';
import { checkSpace } from '../../../../lib/libtorch/install/unpack.ts';
import { fakeFiles, keptFiles, temporaryFolder, writeFiles, writeZip } from '../fake-libtorch.ts';

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

const prove = async () => undefined;
const target = () => join(cache, 'libtorch-2.13.0-cpu');
const wheel = (options: Parameters<typeof fakeFiles>[0] = {}) =>
  writeZip(join(root, 'torch.whl'), 'torch/', fakeFiles(options));

async function filesOf(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  const infos = await Promise.all(names.map((name) => stat(join(dir, name))));
  return names
    .filter((_, i) => infos[i]!.isFile())
    .map((name) => name.split(sep).join('/'))
    .sort();
}

/** A source that hands out a copy of a file. */
const sourceOf = (name: string, archive: string): LibtorchArchiveSource => ({
  name,
  fetch: async (folder, { onBytes }) => {
    await copyFile(archive, join(folder, 'archive'));
    onBytes?.(5, 10);
    return { path: join(folder, 'archive'), sha256: `sha256 of ${name}` };
  },
});

const failing = (name: string, message: string): LibtorchArchiveSource => ({
  name,
  fetch: () => Promise.reject(new Error(message)),
});

describe('from what is here', () => {
  test('a wheel: what is needed of it, with a marker, found from then on', async () => {
    const from = await wheel();
    const location = await installLibtorch({ from, prove });
    expect(location).toMatchObject({
      dir: target(),
      lib: join(target(), 'lib'),
      version: '2.13.0+cpu',
      variant: 'cpu',
    });
    expect(await filesOf(target())).toEqual(keptFiles);
    const sha256 = createHash('sha256')
      .update(await readFile(from))
      .digest('hex');
    const marker = { version: '2.13.0+cpu', variant: 'cpu', source: from, sha256 };
    expect(JSON.parse(await readFile(join(target(), 'installed.json'), 'utf8'))).toEqual(marker);
    expect(await findLibtorch()).toMatchObject({ dir: target(), source: 'cache' });
    expect(await readdir(cache)).toEqual(['libtorch-2.13.0-cpu']);
  });

  test('an archive of CUDA, named after what is in it', async () => {
    const files = { ...fakeFiles({ version: '2.11.0+cu130', cuda: true }), 'lib/libcudnn.so.9': Buffer.from('cudnn') };
    const from = await writeZip(join(root, 'libtorch.zip'), 'libtorch/', files);
    const { dir, variant } = await installLibtorch({ from, prove });
    expect([dir, variant]).toEqual([join(cache, 'libtorch-2.11.0-cuda'), 'cuda']);
    expect(await filesOf(dir)).toContain('lib/libcudnn.so.9');
  });

  test('a folder, in place of what was installed before', async () => {
    await installLibtorch({ from: await wheel(), prove });
    await writeFile(join(target(), 'old'), 'of the install before');
    await writeFiles(join(root, 'site', 'torch'), fakeFiles());
    await installLibtorch({ from: join(root, 'site'), prove });
    expect(await filesOf(target())).toEqual(keptFiles);
    expect(await readdir(cache)).toEqual(['libtorch-2.13.0-cpu']);
  });

  test('each thing that is wrong, and nothing is left', async () => {
    const cases: [InstallOptions, RegExp][] = [
      [{ from: join(root, 'absent') }, /there is nothing at .*absent/],
      [{ from: await wheel({ version: '2.10.0' }) }, /holds LibTorch 2\.10\.0, not 2\.11 to 2\.13/],
      [{ from: root }, /no lib\/libc10\.so in/],
      [{ from: await writeZip(join(root, 'other.zip'), 'numpy/', fakeFiles()) }, /other\.zip holds no LibTorch/],
      [
        { from: await writeZip(join(root, 'cpu.zip'), 'libtorch/', fakeFiles()), variant: 'cuda' },
        /a cpu LibTorch, not cuda/,
      ],
      [{ from: fileURLToPath(import.meta.url) }, /not a zip archive/],
    ];
    for (const [options, message] of cases) {
      const error = await installLibtorch({ ...options, prove }).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'LIBTORCH_INSTALL_FAILED', message: expect.stringMatching(message) });
      expect(await readdir(cache)).toEqual([]);
    }
    // Libraries that are nothing but a header: the real proof refuses them.
    await expect(installLibtorch({ from: await wheel() })).rejects.toThrow(/it cannot be loaded: .*libc10\.so/);
    expect(await readdir(cache)).toEqual([]);
    // @ts-expect-error: not a variant
    await expect(installLibtorch({ variant: 'gpu' })).rejects.toThrow(RangeError);
  });
});

describe('from sources', () => {
  test('the first that works, those before it having failed in every way', async () => {
    const good = await wheel();
    const cuda = await writeZip(join(root, 'cuda.whl'), 'torch/', fakeFiles({ cuda: true }));
    const sources = [
      failing('a', 'unreachable'),
      sourceOf('b', cuda),
      sourceOf('c', good),
      failing('d', 'never asked'),
    ];
    const phases: string[] = [];
    const { dir } = await installLibtorch({
      sources,
      prove,
      onProgress: ({ phase, doneBytes, totalBytes }) => phases.push(`${phase} ${doneBytes} of ${totalBytes}`),
    });
    expect(JSON.parse(await readFile(join(dir, 'installed.json'), 'utf8'))).toMatchObject({
      source: 'c',
      sha256: 'sha256 of c',
    });
    const kept = keptFiles.filter((name) => name !== 'installed.json').map((name) => fakeFiles()[name]!.length);
    const total = kept.reduce((a, b) => a + b);
    expect(phases.slice(0, 2)).toEqual(['download 5 of 10', 'download 5 of 10']);
    expect(phases).toContain(`unpack ${total} of ${total}`);
    expect(phases.at(-1)).toBe('verify 0 of undefined');
    expect(await readdir(cache)).toEqual(['libtorch-2.13.0-cpu']);
    // Installed: no source is asked any more.
    await expect(installLibtorch({ sources: [] })).resolves.toMatchObject({ dir });
  });

  test('none works: all are listed, with the remedy, and nothing is left', async () => {
    const sources = [failing('first', 'no route'), sourceOf('second', fileURLToPath(import.meta.url))];
    await expect(installLibtorch({ sources, prove })).rejects.toMatchObject({
      code: 'LIBTORCH_INSTALL_FAILED',
      message: expect.stringMatching(/ {2}- first: no route\n {2}- second: .*not a zip archive.*\n.*install --from/s),
    });
    expect(await readdir(cache)).toEqual([]);
    await expect(installLibtorch({ variant: 'cuda', sources: [] })).rejects.toThrow(/LIBTORCH_USE_PYTORCH=1/);
  });

  test('two at once install once', async () => {
    const good = await wheel();
    let fetched = 0;
    const counted: LibtorchArchiveSource = {
      name: 'counted',
      fetch: (folder, options) => {
        fetched++;
        return sourceOf('counted', good).fetch(folder, options);
      },
    };
    const both = [0, 1].map(() => installLibtorch({ sources: [counted], prove }));
    const dirs = (await Promise.all(both)).map(({ dir }) => dir);
    expect(dirs).toEqual([target(), target()]);
    expect(fetched).toBe(1);
  });
});

describe('interruption', () => {
  test('an abort in any phase leaves nothing and throws its reason', async () => {
    const good = await wheel();
    for (const phase of ['download', 'unpack', 'verify']) {
      const interruption = new AbortController();
      const reason = new Error(`stopped at ${phase}`);
      const installing = installLibtorch({
        sources: [sourceOf('s', good)],
        signal: interruption.signal,
        onProgress: (progress) => progress.phase === phase && interruption.abort(reason),
      });
      await expect(installing).rejects.toBe(reason);
      expect(await readdir(cache), phase).toEqual([]);
    }
  });

  test('what a killed install has left is removed by the next one', async () => {
    const module = fileURLToPath(new URL('../../../../lib/libtorch/install/install.ts', import.meta.url));
    const script = `import { installLibtorch } from ${JSON.stringify(module)};
      const fetch = async (folder) => { console.log(folder); await new Promise((r) => setTimeout(r, 1e6)); };
      await installLibtorch({ sources: [{ name: 'endless', fetch }] });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const folder = await new Promise<string>((resolve) =>
      child.stdout.once('data', (text) => resolve(String(text).trim())),
    );
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    expect(existsSync(folder)).toBe(true);
    expect((await readdir(cache)).sort()).toEqual([expect.stringMatching(/^\.installing-/), 'install.lock']);
    await expect(findLibtorch()).rejects.toMatchObject({ code: 'LIBTORCH_NOT_FOUND' });

    await installLibtorch({ sources: [sourceOf('s', await wheel())], prove });
    expect(await readdir(cache)).toEqual(['libtorch-2.13.0-cpu']);
  });

  test('a folder without the marker is replaced', async () => {
    await writeFiles(target(), fakeFiles());
    await installLibtorch({ sources: [sourceOf('s', await wheel())], prove });
    expect(await filesOf(target())).toEqual(keptFiles);
  });
});

test('a plan says what would be done and touches nothing', async () => {
  const plan = await planInstall();
  expect(plan).toMatchObject({ variant: 'cpu', target: target(), isInstalled: false });
  expect(plan.sources[0]).toBe('https://download.pytorch.org/whl/cpu/torch/');
  expect(plan.sources[1]).toMatch(/^python3 -m pip download .*--index-url https:\/\/download\.pytorch\.org\/whl\/cpu/);
  expect((await planInstall({ variant: 'cuda' })).sources).toEqual([
    expect.stringMatching(/cu130.*2\.13\.0%2Bcu130\.zip$/),
  ]);
  expect((await planInstall({ from: root })).sources).toEqual([root]);
  expect(existsSync(cache)).toBe(false);
  await installLibtorch({ from: await wheel(), prove });
  expect((await planInstall()).isInstalled).toBe(true);
});

test('a full disk is said before anything starts', async () => {
  await expect(checkSpace(join(root, 'not', 'there', 'yet'), 1e18)).rejects.toThrow(
    /1000000000\.0 GB are needed in .* free/,
  );
  await expect(checkSpace(root, 1)).resolves.toBeUndefined();
});

test('the proof loads real libraries, and reports one that is none', async () => {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const real = sharedObjects.find((path) => /\/libm[.-]/.test(path))!;
  const lib = join(root, 'lib');
  await mkdir(lib);
  for (const name of ['c10', 'torch_cpu', 'torch']) await copyFile(real, join(lib, `lib${name}.so`));
  const location = { dir: root, lib, version: '2.13.0', variant: 'cpu', source: 'option' } as const;
  await expect(proveLibtorch(location)).resolves.toBeUndefined();
  await writeFile(join(lib, 'libtorch.so'), 'no library');
  await expect(proveLibtorch(location)).rejects.toThrow(/libtorch\.so/);
});
