import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { checkOneOf } from '../../base/check.ts';
import { DetectorError, messageOf } from '../../base/errors.ts';
import { cacheRoot } from '../../files/cache-root.ts';
import { withLock } from '../../files/lock.ts';
import { cacheFolder, type InstallMarker, markerFile } from '../cache.ts';
import { inspectInstalled } from '../find.ts';
import { inspectLibtorch, type LibtorchLocation } from '../inspect/inspect.ts';
import type { LibtorchVariant } from '../inspect/libraries.ts';
import { proveLibtorch } from '../inspect/prove.ts';
import { checkSystem } from '../runtime.ts';
import { installedVersion } from '../version.ts';
import { sha256Of } from './download.ts';
import { archiveSources, type LibtorchArchiveSource, neededBytes } from './sources.ts';
import { checkSpace, copyLibtorch, unpackArchive } from './unpack.ts';

/** `totalBytes` is undefined while nobody knows it. */
export type InstallProgress = {
  phase: 'download' | 'unpack' | 'verify';
  doneBytes: number;
  totalBytes: number | undefined;
};

export type InstallOptions = {
  /** Default `cpu`; with `from` whatever is there. */
  variant?: LibtorchVariant;
  /** An unpacked LibTorch or torch package, or a zip archive or wheel of one, instead of a download. */
  from?: string;
  onProgress?: (progress: InstallProgress) => void;
  /** Called once when another process is installing: this one waits for it. */
  onWait?: (pid: number) => void;
  signal?: AbortSignal;
  /** Tests only: another way to prove that what was unpacked can be loaded. */
  prove?: (location: LibtorchLocation, signal?: AbortSignal) => Promise<void>;
  /** Tests only: other places to download from. */
  sources?: readonly LibtorchArchiveSource[];
};

/** What `installLibtorch` would do. */
export type InstallPlan = {
  variant: LibtorchVariant;
  /** The folder it would make; with `from` it is named after the version found there. */
  target: string;
  /** Places it would try, in this order. */
  sources: string[];
  neededBytes: number;
  isInstalled: boolean;
};

/** Says what `installLibtorch` would do, and touches nothing. */
export async function planInstall({ variant = 'cpu', from }: InstallOptions = {}): Promise<InstallPlan> {
  checkOneOf('variant', variant, ['cpu', 'cuda']);
  checkSystem();
  const target = cacheFolder(installedVersion, variant);
  return {
    variant,
    target: from === undefined ? target : join(cacheRoot(), 'libtorch-<version>-<variant>'),
    sources: from === undefined ? archiveSources(variant).map(({ name }) => name) : [resolve(from)],
    neededBytes: neededBytes[variant],
    isInstalled: from === undefined && 'location' in (await inspectInstalled(target)),
  };
}

/**
 * Installs LibTorch into the user's cache, unless it is there: downloads it (or takes `from`), unpacks what is needed into
 * a folder beside its place, proves it by loading it in a child process, and gives it its name last. One process at a time;
 * whatever goes wrong, nothing half-done is left.
 * @throws {DetectorError} `LIBTORCH_INSTALL_FAILED` with every source tried and the remedy; the signal's reason on abort.
 */
export async function installLibtorch(options: InstallOptions = {}): Promise<LibtorchLocation> {
  const { variant = 'cpu', from, signal, onWait } = options;
  checkOneOf('variant', variant, ['cpu', 'cuda']);
  const root = cacheRoot();
  try {
    return await withLock(join(root, 'install.lock'), { signal, onWait }, async () => {
      await removeLeftovers(root);
      if (from === undefined) {
        const installed = await inspectInstalled(cacheFolder(installedVersion, variant));
        if ('location' in installed) return installed.location;
        await checkSpace(root, neededBytes[variant]);
      }
      const folder = await mkdtemp(join(root, leftoverPrefix));
      try {
        return from === undefined
          ? await installFromSources(folder, variant, options)
          : await installFrom(folder, resolve(from), options);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DetectorError) throw error;
    throw new DetectorError('LIBTORCH_INSTALL_FAILED', `LibTorch was not installed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const leftoverPrefix = '.installing-';

/** Under the lock no other install is alive: every unfinished folder is a dead one's. */
async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (name.startsWith(leftoverPrefix)) await rm(join(root, name), { recursive: true, force: true });
  }
}

async function installFromSources(
  folder: string,
  variant: LibtorchVariant,
  options: InstallOptions,
): Promise<LibtorchLocation> {
  const { signal, onProgress } = options;
  const tried: string[] = [];
  for (const [index, source] of (options.sources ?? archiveSources(variant)).entries()) {
    const fetched = join(folder, `fetched-${index}`);
    const unpacked = join(folder, `unpacked-${index}`);
    try {
      await mkdir(fetched);
      await mkdir(unpacked);
      const archive = await source.fetch(fetched, {
        signal,
        onBytes: (doneBytes, totalBytes) => onProgress?.({ phase: 'download', doneBytes, totalBytes }),
      });
      await unpackArchive(archive.path, unpacked, { variant, ...unpackProgress(options) });
      return await finish(unpacked, { source: source.name, sha256: archive.sha256 }, options);
    } catch (error) {
      signal?.throwIfAborted();
      tried.push(`  - ${source.name}: ${messageOf(error)}`);
    } finally {
      await rm(fetched, { recursive: true, force: true });
      await rm(unpacked, { recursive: true, force: true });
    }
  }
  throw new DetectorError('LIBTORCH_INSTALL_FAILED', failureMessage(variant, tried));
}

async function installFrom(folder: string, from: string, options: InstallOptions): Promise<LibtorchLocation> {
  const { variant } = options;
  const info = await stat(from).catch(() => undefined);
  if (info === undefined) throw new Error(`there is nothing at ${from}`);
  const progress = unpackProgress(options);
  if (!info.isDirectory()) {
    await unpackArchive(from, folder, { variant, ...progress });
    return finish(folder, { source: from, sha256: await sha256Of(from) }, options);
  }
  const inspection = await inspectLibtorch(from, 'install');
  if ('reason' in inspection) throw new Error(inspection.reason);
  const { location } = inspection;
  if (variant !== undefined && variant !== location.variant) {
    throw new Error(`${from} holds a ${location.variant} LibTorch, not ${variant}`);
  }
  await copyLibtorch(location.dir, folder, progress);
  return finish(folder, { source: from, sha256: null }, options);
}

/** Proves what was unpacked, marks it as whole and moves it to its place. */
async function finish(
  folder: string,
  origin: Pick<InstallMarker, 'source' | 'sha256'>,
  { prove = proveLibtorch, signal, onProgress }: InstallOptions,
): Promise<LibtorchLocation> {
  onProgress?.({ phase: 'verify', doneBytes: 0, totalBytes: undefined });
  const inspection = await inspectLibtorch(folder, 'install');
  if ('reason' in inspection) throw new Error(inspection.reason);
  const { version, variant } = inspection.location;
  await prove(inspection.location, signal).catch((error) => {
    signal?.throwIfAborted();
    throw new Error(`it cannot be loaded: ${messageOf(error)}`, { cause: error });
  });
  const marker: InstallMarker = { version, variant, ...origin };
  await writeFile(join(folder, markerFile), `${JSON.stringify(marker, null, 2)}\n`);
  const dir = cacheFolder(version, variant);
  await replaceFolder(folder, dir);
  return { ...inspection.location, dir, lib: join(dir, 'lib') };
}

/** Puts `folder` at `target`. What was there is first renamed, so that a process that uses it keeps its files open. */
async function replaceFolder(folder: string, target: string): Promise<void> {
  const old = await mkdtemp(join(cacheRoot(), leftoverPrefix));
  await rename(target, join(old, 'replaced')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(folder, target);
  await rm(old, { recursive: true, force: true });
}

function unpackProgress({ signal, onProgress }: InstallOptions) {
  const onBytes = (doneBytes: number, totalBytes: number) => onProgress?.({ phase: 'unpack', doneBytes, totalBytes });
  return { signal, onBytes };
}

function failureMessage(variant: LibtorchVariant, tried: readonly string[]): string {
  const remedy =
    variant === 'cuda'
      ? 'Use the CUDA torch of python3 with LIBTORCH_USE_PYTORCH=1, or download the archive elsewhere and run: ' +
        'npx dinov3-det install --from <archive or folder>'
      : 'Set up pip, or download a CPU wheel of torch or a LibTorch archive elsewhere and run: ' +
        'npx dinov3-det install --from <archive or folder>';
  return [`LibTorch ${installedVersion} (${variant}) could not be installed. Tried:`, ...tried, remedy].join('\n');
}
