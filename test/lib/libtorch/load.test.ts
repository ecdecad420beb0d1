import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test } from 'vitest';

import { doctor, formatReport } from '../../../lib/libtorch/doctor.ts';
import { requiredLibraries } from '../../../lib/libtorch/inspect/libraries.ts';
import { addonPath, loadAddon, loadAddonFile, loadLibtorch } from '../../../lib/libtorch/load.ts';
import { fakeFiles, temporaryFolder, writeFiles } from './fake-libtorch.ts';

/** Runs a module in a new process and gives what it printed. */
function inNewProcess(script: string): string {
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const moduleUrl = (name: string) => JSON.stringify(new URL(`../../../lib/libtorch/${name}.ts`, import.meta.url).href);

test('importing loads nothing native', () => {
  const names = ['find', 'install/install', 'load', 'doctor', 'build'];
  const output = inNewProcess(`
    for (const url of [${names.map(moduleUrl)}]) await import(url);
    process.report.excludeNetwork = true;
    console.log(JSON.stringify(process.report.getReport().sharedObjects));`);
  const objects = JSON.parse(output) as string[];
  expect(objects.length).toBeGreaterThan(3);
  expect(objects.filter((path) => /\.node$|torch|c10|vips/.test(path.split('/').pop()!))).toEqual([]);
});

describe('the addon of this checkout', () => {
  let loaded: Awaited<ReturnType<typeof loadAddon>>;
  beforeAll(async () => {
    loaded = await loadAddon();
  });

  test('is loaded once, however often it is asked for', async () => {
    expect(loaded.addon).toHaveProperty('cudaDeviceCount');
    expect(await loadAddon()).toBe(loaded);
    expect(await loadAddon({ libtorch: loaded.location.dir })).toBe(loaded);
  });

  test('does not take a second LibTorch', async () => {
    const other = await writeFiles(await temporaryFolder(), fakeFiles());
    await expect(loadAddon({ libtorch: other })).rejects.toMatchObject({
      code: 'LIBTORCH_INCOMPATIBLE',
      message: `The LibTorch in ${loaded.location.dir} is already loaded: the one in ${other} needs a process of its own`,
    });
    await expect(loadLibtorch({ ...loaded.location, lib: join(other, 'lib') })).rejects.toThrow(
      /another libc10\.so is already loaded in this process, from/,
    );
  });

  test('that is no library, or absent, is an error that names the file and the remedy', async () => {
    const text = fileURLToPath(import.meta.url);
    await expect(loadAddonFile(text)).rejects.toMatchObject({
      code: 'ADDON_LOAD_FAILED',
      message: expect.stringMatching(/Cannot load .*load\.test\.ts: .*npm run setup/s),
    });
    await expect(loadAddonFile('/nowhere/x.node')).rejects.toThrow(/Cannot load \/nowhere\/x\.node/);
  });

  test('works in a worker thread', async () => {
    const loader = join(dirname(addonPath()), 'loader', 'libtorch_loader.node');
    const libraries = requiredLibraries(loaded.location.variant).map((file) => join(loaded.location.lib, file));
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const opened = require(workerData.loader).open(workerData.libraries);
      opened.then(() => parentPort.postMessage(require(workerData.addon).libtorchVersion));`;
    const worker = new Worker(script, { eval: true, workerData: { loader, libraries, addon: addonPath() } });
    const version = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    expect(loaded.location.version).toContain(version);
    await worker.terminate();
  });
});

test('a LibTorch whose libraries cannot be loaded is a typed error, and the process lives on', async () => {
  const folder = await writeFiles(await temporaryFolder(), fakeFiles());
  const output = inNewProcess(`
    const { loadAddon } = await import(${moduleUrl('load')});
    const error = await loadAddon({ libtorch: ${JSON.stringify(folder)} }).catch((thrown) => thrown);
    console.log(error.code, error.message);
    console.log('then', (await loadAddon()).location.source);`);
  expect(output).toMatch(/^LIBTORCH_INCOMPATIBLE LibTorch 2\.13\.0\+cpu \(cpu\) in .* cannot be loaded: .*libc10\.so/);
  expect(output).toMatch(/\nthen \w+\n$/);
});

describe('the doctor', () => {
  test('finds this checkout in order', async () => {
    const report = await doctor();
    const byName = Object.fromEntries(report.checks.map((check) => [check.name, check]));
    expect(report.ok).toBe(true);
    expect(byName['Node.js']).toEqual({ name: 'Node.js', ok: true, isNeeded: true, detail: process.version });
    expect(byName.LibTorch!.detail).toMatch(/^2\.1[123]\.\d+.* \((cpu|cuda)\) in .*, found through \w+$/);
    expect(byName.loading!.detail).toMatch(/^the addon runs on LibTorch 2\.1/);
    expect(formatReport(report)).toMatch(/^ok {4}Node\.js .*Everything that is needed is there\.$/s);
  });

  test('says what is missing and what to do', () => {
    const output = inNewProcess(`
      process.env.LIBTORCH = '/nowhere';
      process.env.PATH = '';
      const { doctor, formatReport } = await import(${moduleUrl('doctor')});
      console.log(formatReport(await doctor()));`);
    expect(output).toMatch(/^FAIL {2}LibTorch +LIBTORCH asks for .*\/nowhere/m);
    expect(output).toMatch(/^- {5}CMake +cmake was not found on PATH\n +-> needed only to build/m);
    expect(output).toMatch(/Something that is needed is missing\.\n$/);
  });
});
