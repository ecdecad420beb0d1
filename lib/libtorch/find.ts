import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DetectorError } from '../base/errors.ts';
import { cacheRoot } from '../files/cache-root.ts';
import { type InstallMarker, markerFile } from './cache.ts';
import { type Inspection, inspectLibtorch, type LibtorchLocation, type LibtorchSource } from './inspect/inspect.ts';
import { bundlePaths, findBundle } from './resources.ts';
import { supportedVersions } from './version.ts';

export type { LibtorchLocation, LibtorchSource } from './inspect/inspect.ts';

export type FindOptions = {
  /** The folder of a LibTorch, before any other place. */
  libtorch?: string;
};

/**
 * Finds the LibTorch to load: the option; `LIBTORCH`; with `LIBTORCH_USE_PYTORCH=1` the torch of `python3`; the bundle in the
 * resources of a packaged Electron app; the newest in the user's cache, CUDA before CPU. Loads nothing.
 * @throws {DetectorError} `LIBTORCH_NOT_FOUND`, with every place tried and why it was not taken. A place that was asked
 * for (all but the cache) is never passed over: `LIBTORCH_INCOMPATIBLE` when it cannot be used.
 */
export async function findLibtorch(options: FindOptions = {}): Promise<LibtorchLocation> {
  const { LIBTORCH: folder, LIBTORCH_USE_PYTORCH: usePytorch } = process.env;
  if (options.libtorch) return requested('option', 'option libtorch', options.libtorch);
  if (folder) return requested('LIBTORCH', 'LIBTORCH', folder);
  if (usePytorch === '1') {
    return requested('LIBTORCH_USE_PYTORCH', 'LIBTORCH_USE_PYTORCH=1', await folderOfPytorch());
  }
  const bundle = findBundle();
  if (bundle !== undefined) return requested('resources', 'The bundle of this app', join(bundle, bundlePaths.libtorch));
  const tried: string[] = [];
  const location = await findInCache(tried);
  if (location !== undefined) return location;
  throw new DetectorError('LIBTORCH_NOT_FOUND', notFoundMessage(tried));
}

/** The newest whole and usable LibTorch of the cache, CUDA before CPU; what is not usable is added to `tried`. */
async function findInCache(tried: string[] = []): Promise<LibtorchLocation | undefined> {
  const folders = await cachedFolders();
  if (folders.length === 0) tried.push(`cache ${cacheRoot()}: no LibTorch is installed there`);
  for (const folder of folders) {
    const inspection = await inspectInstalled(folder);
    if ('location' in inspection) return inspection.location;
    tried.push(`cache ${folder}: ${inspection.reason}`);
  }
  return undefined;
}

/** The folders of the cache that are named as a LibTorch: a newer version before an older one, and of one version cuda before cpu. */
export async function cachedFolders(): Promise<string[]> {
  const root = cacheRoot();
  const names = (await readdir(root).catch(() => [])).filter((name) => name.startsWith('libtorch-'));
  return names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true })).map((name) => join(root, name));
}

/** A folder of the cache: usable only with the marker that an install writes last. */
export async function inspectInstalled(dir: string): Promise<Inspection> {
  const marker = await readFile(join(dir, markerFile), 'utf8').then(parseMarker, () => undefined);
  if (marker === undefined) return { reason: `no valid ${markerFile}: the install was not finished` };
  return inspectLibtorch(dir, 'cache');
}

function parseMarker(text: string): InstallMarker | undefined {
  try {
    return JSON.parse(text) as InstallMarker;
  } catch {
    return undefined;
  }
}

async function requested(source: LibtorchSource, asked: string, folder: string): Promise<LibtorchLocation> {
  const inspection = await inspectLibtorch(folder, source);
  if ('location' in inspection) return inspection.location;
  throw new DetectorError(
    'LIBTORCH_INCOMPATIBLE',
    `${asked} asks for the LibTorch in ${folder}, which cannot be used: ${inspection.reason}. ` +
      `Name a folder with the lib/ of LibTorch ${supportedVersions}, or none and run: npx dinov3-det install`,
  );
}

const askForTorch = [
  'import importlib.util, sys',
  "sys.path[:] = [p for p in sys.path if p not in ('', '.')]", // a folder called torch in the working directory is not it
  "spec = importlib.util.find_spec('torch')",
  "print(list(spec.submodule_search_locations)[0] if spec else '')",
].join('\n');

/** The folder of the torch that `python3` would import, without importing it. */
async function folderOfPytorch(): Promise<string> {
  const { python, runProgram } = await import('./program.ts');
  const refuse = (found: string) =>
    new DetectorError(
      'LIBTORCH_NOT_FOUND',
      `LIBTORCH_USE_PYTORCH=1 asks for the torch of ${python}, but ${found}. ` +
        'Install torch there, or unset the variable and run: npx dinov3-det install',
    );
  const output = await runProgram(python, ['-c', askForTorch]).catch((error: Error) => {
    throw refuse(error.message);
  });
  const folder = output.trim();
  if (folder === '') throw refuse('it has none');
  return folder;
}

function notFoundMessage(tried: readonly string[]): string {
  return [
    `LibTorch ${supportedVersions} was not found. Tried:`,
    '  - option libtorch: not given',
    '  - LIBTORCH: not set',
    '  - LIBTORCH_USE_PYTORCH=1: not set',
    ...tried.map((line) => `  - ${line}`),
    'Install it with: npx dinov3-det install',
  ].join('\n');
}
