import { constants, existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { checkOneOf } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { packageRoot } from '../base/package-files.ts';
import { version } from '../base/version.ts';
import { makeDirectory, writing } from '../files/atomic-file.ts';
import { markerFile } from './cache.ts';
import { cachedFolders, findLibtorch } from './find.ts';
import { architectureOf } from './inspect/elf.ts';
import { neededLibraries } from './inspect/elf-dependencies.ts';
import { exists, libtorchRoot } from './inspect/inspect.ts';
import { isWanted, type LibtorchVariant, libraryFile, requiredLibraries } from './inspect/libraries.ts';
import { loadInChild } from './inspect/prove.ts';
import { checkSpace } from './install/unpack.ts';
import { addonPath } from './load.ts';
import { bundlePaths } from './resources.ts';
import { readVersionOfFolder } from './version.ts';

export const bundlePlatforms = ['linux', 'darwin', 'win32'] as const;
export const bundleArchitectures = ['x64', 'arm64'] as const;

export interface BundleOptions {
  /** Default: of this process. */
  platform?: (typeof bundlePlatforms)[number];
  arch?: (typeof bundleArchitectures)[number];
  /** Default: whichever is found first. */
  variant?: LibtorchVariant;
  /** The folder of an unpacked LibTorch; default: the one that is found here, and the cache. */
  from?: string;
  signal?: AbortSignal;
  onBytes?: (done: number, total: number) => void;
}

/** What `bundle.json` holds. */
export interface BundleManifest {
  /** Of this package: another one's addon may not fit. */
  version: string;
  platform: string;
  arch: string;
  variant: LibtorchVariant;
  libtorch: string;
  /** Paths below the folder, with `/`. */
  files: { path: string; bytes: number }[];
  /** Libraries that the system has to have. Only known of Linux. */
  system: string[];
}

type Target = { platform: NodeJS.Platform; arch: string };
type Libtorch = { dir: string; lib: string; version: string; variant: LibtorchVariant };

/** What LibTorch opens by itself when it first needs it, and the loader cannot know of. */
const openedLater = /^lib(torch_cuda_linalg|caffe2_nvrtc|cudnn|nvrtc|nvJitLink)/;

/**
 * Collects what an app has to bring along beside its JavaScript into `out`: addon, loader, the libraries of LibTorch that they need,
 * licences. Replaces a bundle that is there. For this platform the result is loaded once in a child process.
 * @throws {DetectorError} `LIBTORCH_NOT_FOUND`, `ADDON_LOAD_FAILED` or `OUTPUT_NOT_WRITABLE`; the signal's reason on abort
 */
export async function bundleRuntime(out: string, options: BundleOptions = {}): Promise<BundleManifest> {
  const target = {
    platform: checkOneOf('platform', options.platform ?? process.platform, bundlePlatforms),
    arch: checkOneOf('arch', options.arch ?? process.arch, bundleArchitectures),
  };
  if (options.variant !== undefined) checkOneOf('variant', options.variant, ['cpu', 'cuda']);
  const addon = await findAddon(target);
  const libtorch = await findLibtorchFor(target, options);
  const { libraries, system } = await librariesFor(target, libtorch, addon);
  const sources = new Map([
    [bundlePaths.addon, addon],
    [bundlePaths.loader, loaderOf(addon)],
    ...libraries.map((file) => [join(bundlePaths.libtorch, 'lib', file), join(libtorch.lib, file)] as const),
    ...(await licences(libtorch)),
  ]);
  return writing(out, async () => {
    await makeDirectory(dirname(resolve(out)));
    const folder = await mkdtemp(join(dirname(resolve(out)), '.bundle-'));
    try {
      await chmod(folder, 0o755); // the app may be run by others than the one who packs it
      const files = await copyFiles(sources, folder, options);
      const { variant, version: found } = libtorch;
      await writeFile(join(folder, bundlePaths.libtorch, 'build-version'), `${found}\n`);
      if (isHere(target)) await prove(folder, variant, options.signal);
      const manifest = { version, ...target, variant, libtorch: found, files, system };
      await writeFile(join(folder, bundlePaths.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
      options.signal?.throwIfAborted();
      await rm(out, { recursive: true, force: true });
      await rename(folder, out);
      return manifest;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

function isHere({ platform, arch }: Target): boolean {
  return platform === process.platform && arch === process.arch;
}

/** Of another platform, the one that was published with this package. */
async function findAddon({ platform, arch }: Target): Promise<string> {
  if (isHere({ platform, arch })) return addonPath();
  const folder = join(packageRoot, 'prebuilds', `${platform}-${arch}`);
  const file = (await readdir(folder).catch(() => [])).find((name) => name.endsWith('.node'));
  if (file !== undefined && (await exists(loaderOf(join(folder, file))))) return join(folder, file);
  throw new DetectorError(
    'ADDON_LOAD_FAILED',
    `No prebuilt addon for ${platform} ${arch} in ${folder}. Run this on a machine of that platform, or take a package that has it`,
  );
}

function loaderOf(addon: string): string {
  return join(dirname(addon), 'loader', 'libtorch_loader.node');
}

/** The first LibTorch of the target among the places that count. */
async function findLibtorchFor(target: Target, { from, variant }: BundleOptions): Promise<Libtorch> {
  const tried: string[] = [];
  for (const folder of await placesOf(target, from)) {
    const found = await inspectFor(target, folder, variant);
    if (typeof found !== 'string') return found;
    tried.push(`  - ${folder}: ${found}`);
  }
  const what = `${variant === undefined ? '' : `${variant} `}LibTorch for ${target.platform} ${target.arch}`;
  const remedy = isHere(target)
    ? `Install it with: npx dinov3-det install${variant === 'cuda' ? ' --cuda' : ''}`
    : `Only what is in the cache can be taken, or name the folder of an unpacked LibTorch of that platform with --from`;
  throw new DetectorError('LIBTORCH_NOT_FOUND', [`No ${what} to bundle. Tried:`, ...tried, remedy].join('\n'));
}

async function placesOf(target: Target, from: string | undefined): Promise<string[]> {
  if (from !== undefined) return [resolve(from)];
  const found = isHere(target) ? [(await findLibtorch()).dir] : [];
  const cached = (await cachedFolders()).filter((folder) => existsSync(join(folder, markerFile))); // whole ones
  return [...new Set([...found, ...cached])];
}

/** Looked at without loading: it may be another system's. Why it is not taken otherwise. */
async function inspectFor(
  { platform, arch }: Target,
  folder: string,
  wanted: LibtorchVariant | undefined,
): Promise<Libtorch | string> {
  const dir = await libtorchRoot(folder, platform);
  if (dir === undefined) return `it has no lib/${libraryFile('c10', platform)}`;
  const lib = join(dir, 'lib');
  const variant = (await exists(join(lib, libraryFile('torch_cuda', platform)))) ? 'cuda' : 'cpu';
  if (wanted !== undefined && wanted !== variant) return `it is a ${variant} LibTorch`;
  for (const file of requiredLibraries(variant, platform)) {
    if (!(await exists(join(lib, file)))) return `${file} is missing from ${lib}`;
    const built = platform === 'linux' ? await architectureOf(join(lib, file)) : arch;
    if (built !== arch) return `${file} is built for ${built ?? 'another system'}`;
  }
  const found = await readVersionOfFolder(dir);
  return found === undefined ? 'it states no version' : { dir, lib, version: found, variant };
}

/** Of Linux, those that the addon needs, with what they need in turn; of other systems, all that an install keeps. */
async function librariesFor({ platform }: Target, { lib, variant }: Libtorch, addon: string) {
  const present = new Set(await readdir(lib));
  if (platform !== 'linux') {
    const libraries = [...present].filter((file) => isWanted(`lib/${file}`) && !file.endsWith('.lib'));
    return { libraries, system: [] };
  }
  const libraries = new Set([
    ...requiredLibraries(variant, platform),
    ...[...present].filter((n) => openedLater.test(n)),
  ]);
  const system = new Set<string>();
  const needs = async (path: string) => {
    const names = await neededLibraries(path).catch((error) => {
      throw new DetectorError('LIBTORCH_INCOMPATIBLE', `Cannot read ${path}: ${messageOf(error)}`, { cause: error });
    });
    for (const name of names) (present.has(name) ? libraries : system).add(name);
  };
  await needs(addon);
  await needs(loaderOf(addon));
  for (const file of libraries) await needs(join(lib, file)); // what is added meanwhile is visited too
  return { libraries: [...libraries].sort(), system: [...system].sort() };
}

/** From below the bundle to here. */
async function licences({ dir }: Libtorch): Promise<[string, string][]> {
  const into = (name: string) => join(bundlePaths.licenses, name);
  const own = (await readdir(dir)).filter((name) => /^(LICENSE|NOTICE)/i.test(name));
  return [
    [into('dinov3-det.txt'), join(packageRoot, 'LICENSE')],
    [into('libtorch.txt'), join(packageRoot, 'docs', 'licenses', 'libtorch.txt')],
    ...own.map((name): [string, string] => [into(`libtorch-${name}`), join(dir, name)]),
  ];
}

async function copyFiles(
  sources: ReadonlyMap<string, string>,
  folder: string,
  { signal, onBytes }: BundleOptions,
): Promise<BundleManifest['files']> {
  const files = await Promise.all(
    [...sources].map(async ([name, path]) => ({ name, path, bytes: (await stat(path)).size })),
  );
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  await checkSpace(folder, total);
  let done = 0;
  for (const { name, path, bytes } of files) {
    signal?.throwIfAborted();
    const place = join(folder, name);
    await mkdir(dirname(place), { recursive: true });
    await copyFile(path, place, constants.COPYFILE_FICLONE);
    done += bytes;
    onBytes?.(done, total);
  }
  return files.map(({ name, bytes }) => ({ path: name.split(sep).join('/'), bytes }));
}

/** Loads the copies, and nothing else, in a child process. */
async function prove(folder: string, variant: LibtorchVariant, signal: AbortSignal | undefined): Promise<void> {
  const libraries = requiredLibraries(variant).map((file) => join(folder, bundlePaths.libtorch, 'lib', file));
  await loadInChild([...libraries, join(folder, bundlePaths.addon)], signal).catch((error) => {
    signal?.throwIfAborted();
    throw new DetectorError('ADDON_LOAD_FAILED', `The bundle cannot be loaded: ${messageOf(error)}`, { cause: error });
  });
}
