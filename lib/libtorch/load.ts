import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

import { DetectorError, messageOf } from '../base/errors.ts';
import { packageRoot } from '../base/package-files.ts';
import { type FindOptions, findLibtorch, type LibtorchLocation } from './find.ts';
import { libraryFile, requiredLibraries } from './inspect/libraries.ts';
import { bundlePaths, findBundle, outsideAsar } from './resources.ts';
import { minorVersion } from './version.ts';

/** The native addon and the LibTorch below it. `lib/binding.ts` knows what is in it. */
export type LoadedAddon = { addon: unknown; location: LibtorchLocation };

type Loader = { open: (paths: string[]) => Promise<void> };

/** What to run when the addon is missing or does not fit. */
const remedy =
  'In a checkout run: npm run setup. In a project that uses the package compile it: npx dinov3-det build. ' +
  'See: npx dinov3-det doctor';

let loaded: Promise<LoadedAddon> | undefined;

/**
 * Finds and loads LibTorch, then the addon; once per thread, later calls get the same one. A failure is not kept: the
 * next call tries again.
 * @throws {DetectorError} `LIBTORCH_NOT_FOUND`, `LIBTORCH_INCOMPATIBLE` (also when another LibTorch is already loaded) or
 * `ADDON_LOAD_FAILED`.
 */
export async function loadAddon(options: FindOptions = {}): Promise<LoadedAddon> {
  loaded ??= loadAddonFile(addonPath(), options).catch((error) => {
    loaded = undefined;
    throw error;
  });
  const result = await loaded;
  if (options.libtorch !== undefined) await checkSameLibtorch(result.location, options);
  return result;
}

/** The same for another addon that is linked against LibTorch. */
export async function loadAddonFile(path: string, options: FindOptions = {}): Promise<LoadedAddon> {
  const location = await findLibtorch(options);
  await loadLibtorch(location);
  const addon = openAddon(path);
  checkBuiltFor(addon, location, path);
  return { addon, location };
}

/**
 * Loads the libraries of a LibTorch into the process, for every addon that comes after; the event loop stays free meanwhile.
 * @throws {DetectorError} `LIBTORCH_INCOMPATIBLE` with the system loader's words.
 */
export async function loadLibtorch({ lib, variant, version }: LibtorchLocation): Promise<void> {
  shortenBusyWaiting();
  const loader = openAddon(loaderPath()) as Loader;
  try {
    await loader.open(requiredLibraries(variant).map((file) => join(lib, file)));
  } catch (error) {
    throw new DetectorError(
      'LIBTORCH_INCOMPATIBLE',
      `LibTorch ${version} (${variant}) in ${lib} cannot be loaded: ${messageOf(error)}. See: npx dinov3-det doctor`,
      { cause: error },
    );
  }
  const graphs = graphsPath();
  if (variant === 'cuda' && existsSync(graphs)) await loader.open([graphs]).catch(() => undefined);
}

/**
 * OpenMP's threads wait for each other in a busy loop of some milliseconds. Where there is other work for the cores, that work is
 * kept from the thread that is waited for, and training is many times slower. A short loop costs next to nothing where they are
 * alone (38 against 37 ms a step); sleeping at once (OMP_WAIT_POLICY=PASSIVE) would cost a third. Read when OpenMP is loaded; a
 * worker thread has an environment of its own, so there it must be set by the one who starts the process.
 */
function shortenBusyWaiting(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= '1000';
}

/**
 * The file of the addon: of the bundle in a packaged app, of a build in this checkout, or the prebuilt one for this platform. In
 * Electron the unpacked twin of an archive is meant: nothing can be loaded from inside one.
 * @throws {DetectorError} `ADDON_LOAD_FAILED` when there is none.
 */
export function addonPath(): string {
  const bundle = findBundle();
  if (bundle !== undefined) return join(bundle, bundlePaths.addon);
  const root = outsideAsar(packageRoot);
  const { resolve } = createRequire(import.meta.url)('node-gyp-build') as { resolve: (root: string) => string };
  try {
    return resolve(root);
  } catch (error) {
    throw new DetectorError(
      'ADDON_LOAD_FAILED',
      `No native addon for ${process.platform} ${process.arch} in ${root}build/Release or ${root}prebuilds. ${remedy}`,
      { cause: error },
    );
  }
}

/** Beside the addon, in a folder of its own: node-gyp-build would take it for the addon. */
function loaderPath(): string {
  return join(dirname(addonPath()), 'loader', 'libtorch_loader.node');
}

/**
 * What needs CUDA's headers to be built and CUDA to be loaded: a training step as a graph. It tells LibTorch of itself. Without it, or
 * where it does not load, steps are done without, and `levers` has the reason.
 */
function graphsPath(): string {
  return join(dirname(addonPath()), 'cuda', libraryFile('dinov3_det_cuda'));
}

/** `require` binds lazily: a symbol that a wrong LibTorch lacks would end the process at its first use. */
function openAddon(path: string): unknown {
  const target: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(target, path, constants.dlopen?.RTLD_NOW);
  } catch (error) {
    throw new DetectorError('ADDON_LOAD_FAILED', `Cannot load ${path}: ${messageOf(error)}. ${remedy}`, {
      cause: error,
    });
  }
  return target.exports;
}

/** Symbols may agree where structures do not: LibTorch keeps its binary interface within a minor version only. */
function checkBuiltFor(addon: unknown, location: LibtorchLocation, path: string): void {
  const { libtorchVersion: built } = addon as { libtorchVersion?: unknown };
  if (typeof built !== 'string' || minorVersion(built) === minorVersion(location.version)) return;
  throw new DetectorError(
    'LIBTORCH_INCOMPATIBLE',
    `${path} is built for LibTorch ${minorVersion(built)}, and LibTorch ${location.version} was found in ${location.dir}. ${remedy}`,
  );
}

async function checkSameLibtorch({ dir }: LibtorchLocation, options: FindOptions): Promise<void> {
  const asked = await findLibtorch(options);
  if (asked.dir === dir) return;
  throw new DetectorError(
    'LIBTORCH_INCOMPATIBLE',
    `The LibTorch in ${dir} is already loaded: the one in ${asked.dir} needs a process of its own`,
  );
}
