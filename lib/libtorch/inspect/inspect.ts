import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isSupportedVersion, readVersionOfFolder, supportedVersions } from '../version.ts';
import { currentHost, whyNotLoadable, whyWrongLibc } from './elf.ts';
import { type LibtorchVariant, libraryFile, requiredLibraries } from './libraries.ts';

/** How a LibTorch was found. */
export type LibtorchSource = 'option' | 'LIBTORCH' | 'LIBTORCH_USE_PYTORCH' | 'resources' | 'cache' | 'install';

/** A LibTorch that can be loaded into this process. */
export type LibtorchLocation = {
  /** The folder that holds `lib/` and `include/`. */
  dir: string;
  /** The folder of its libraries. */
  lib: string;
  /** As it states it, with its local part: `2.13.0+cpu`. */
  version: string;
  variant: LibtorchVariant;
  source: LibtorchSource;
};

/** A usable LibTorch, or why this folder is none. */
export type Inspection = { location: LibtorchLocation } | { reason: string };

/**
 * Looks at a folder without loading anything: libraries all there, a version that is supported, built for this
 * architecture and C library. A folder that holds a `libtorch/` or `torch/` (an unpacked archive or wheel) is taken too.
 */
export async function inspectLibtorch(folder: string, source: LibtorchSource): Promise<Inspection> {
  const dir = await libtorchRoot(resolve(folder));
  if (dir === undefined) return { reason: `no lib/${libraryFile('c10')} in ${folder}` };
  const lib = join(dir, 'lib');
  const variant = (await exists(join(lib, libraryFile('torch_cuda')))) ? 'cuda' : 'cpu';
  const files = requiredLibraries(variant);
  const present = await Promise.all(files.map((file) => exists(join(lib, file))));
  const missing = files.find((_, i) => !present[i]);
  if (missing !== undefined) return { reason: `library ${missing} is missing from ${lib}` };
  const version = await readVersionOfFolder(dir);
  if (version === undefined) return { reason: `no version is stated in ${dir} (version.py, build-version or headers)` };
  if (!isSupportedVersion(version)) return { reason: `version ${version} in ${dir} is not ${supportedVersions}` };
  const reason = await whyWrongBuild(lib, variant);
  return reason === undefined ? { location: { dir, lib, version, variant, source } } : { reason };
}

async function whyWrongBuild(lib: string, variant: LibtorchVariant): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const host = currentHost();
  const reasons = await Promise.all([
    ...requiredLibraries(variant).map((file) => whyNotLoadable(join(lib, file), host)),
    whyWrongLibc(join(lib, libraryFile('c10')), host),
  ]);
  return reasons.find((reason) => reason !== undefined);
}

/** The folder, or the one in it, that holds `lib/` with the libraries of a platform. */
export async function libtorchRoot(folder: string, platform = process.platform): Promise<string | undefined> {
  for (const dir of [folder, join(folder, 'libtorch'), join(folder, 'torch')]) {
    if (await exists(join(dir, 'lib', libraryFile('c10', platform)))) return dir;
  }
  return undefined;
}

/** Whether there is a file or folder at `path`. */
export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
