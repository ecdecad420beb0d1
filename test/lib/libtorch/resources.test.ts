import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { version } from '../../../lib/base/version.ts';
import { findLibtorch } from '../../../lib/libtorch/find.ts';
import { addonPath } from '../../../lib/libtorch/load.ts';
import { findBundle, outsideAsar } from '../../../lib/libtorch/resources.ts';
import { fakeFiles, temporaryFolder, writeFiles } from './fake-libtorch.ts';

let resources: string;
beforeEach(async () => {
  resources = await temporaryFolder();
  vi.stubEnv('DINOV3_DET_CACHE', join(resources, 'cache'));
  vi.stubEnv('LIBTORCH', '');
  vi.stubEnv('LIBTORCH_USE_PYTORCH', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  delete (process as { resourcesPath?: string }).resourcesPath;
  await rm(resources, { recursive: true, force: true });
});

/** As Electron sets it in each of its processes. */
function startElectron() {
  Object.assign(process, { resourcesPath: resources });
}

function writeManifest(manifest: string) {
  return writeFiles(resources, { 'dinov3-det/bundle.json': Buffer.from(manifest) });
}

describe('outsideAsar', () => {
  it.each([
    ['/app/resources/app.asar/node_modules/dinov3-det/', '/app/resources/app.asar.unpacked/node_modules/dinov3-det/'],
    ['C:\\app\\app.asar\\node_modules\\x', 'C:\\app\\app.asar.unpacked\\node_modules\\x'],
    ['/app/resources/app.asar.unpacked/node_modules/x', '/app/resources/app.asar.unpacked/node_modules/x'],
    ['/home/me/my.asars/x', '/home/me/my.asars/x'],
    ['/home/me/checkout/', '/home/me/checkout/'],
  ])('%s is %s', (path, expected) => {
    expect(outsideAsar(path)).toBe(expected);
  });
});

describe('the bundle in the resources of an app', () => {
  it('is none outside of Electron, and where nothing was put', () => {
    expect(findBundle()).toBeUndefined();
    startElectron();
    expect(findBundle()).toBeUndefined();
    expect(addonPath()).not.toContain(resources);
  });

  it('has the addon and LibTorch, before the cache and after what was asked for', async () => {
    const bundle = join(resources, 'dinov3-det');
    await writeManifest(JSON.stringify({ version }));
    await writeFiles(join(bundle, 'libtorch'), fakeFiles());
    await writeFiles(join(resources, 'cache', 'libtorch-2.13.0-cpu'), {
      ...fakeFiles(),
      'installed.json': Buffer.from('{}'),
    });
    expect((await findLibtorch()).source).toBe('cache');
    startElectron();
    expect(findBundle()).toBe(bundle);
    expect(addonPath()).toBe(join(bundle, 'addon', 'dinov3_det.node'));
    expect(await findLibtorch()).toMatchObject({ dir: join(bundle, 'libtorch'), source: 'resources' });
    const asked = await writeFiles(join(resources, 'asked'), fakeFiles({ version: '2.12.1' }));
    vi.stubEnv('LIBTORCH', asked);
    expect(await findLibtorch()).toMatchObject({ dir: asked, source: 'LIBTORCH' });
  });

  it.each([
    ['of another version', JSON.stringify({ version: '0.0.1' }), `is not of dinov3-det ${version}: found 0.0.1`],
    ['without a version', '{}', 'found undefined'],
    ['damaged', '{"version"', 'JSON'],
  ])('%s is an error, never passed over', async (_, manifest, message) => {
    await writeManifest(manifest);
    startElectron();
    for (const look of [findBundle, addonPath]) {
      expect(look as () => unknown).toThrow(message);
      expect(look as () => unknown).toThrow(/bundle\.json .*npx dinov3-det bundle --out/s);
    }
    await expect(findLibtorch()).rejects.toMatchObject({ code: 'ADDON_LOAD_FAILED' });
  });

  it('whose LibTorch is not whole is an error', async () => {
    await writeManifest(JSON.stringify({ version }));
    startElectron();
    await expect(findLibtorch()).rejects.toMatchObject({
      code: 'LIBTORCH_INCOMPATIBLE',
      message: expect.stringMatching(
        /^The bundle of this app asks for the LibTorch in .*libtorch, which cannot be used/,
      ),
    });
  });
});
