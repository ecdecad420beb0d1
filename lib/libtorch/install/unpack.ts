import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';

import { isWanted, type LibtorchVariant, libraryFile } from '../inspect/libraries.ts';
import { isSupportedVersion, readVersion, supportedVersions } from '../version.ts';
import { ZipFile } from './unzip.ts';

export type UnpackOptions = {
  /** Refuse another variant before anything is unpacked. */
  variant?: LibtorchVariant | undefined;
  signal?: AbortSignal | undefined;
  onBytes?: ((done: number, total: number) => void) | undefined;
};

/** Unpacks what is needed of an official archive (`libtorch/`) or a wheel (`torch/`) into `folder`. */
export async function unpackArchive(path: string, folder: string, options: UnpackOptions): Promise<void> {
  const { variant, signal, onBytes } = options;
  const zip = await ZipFile.open(path);
  try {
    const names = new Set(zip.entries.map(({ name }) => name));
    const prefix = ['torch/', 'libtorch/'].find((top) => names.has(`${top}lib/${libraryFile('torch_cpu')}`));
    if (prefix === undefined) throw new Error(`${path} holds no LibTorch for ${process.platform}`);
    const version = await readVersion((name) => zip.readText(prefix + name));
    if (version === undefined || !isSupportedVersion(version)) {
      throw new Error(`${path} holds LibTorch ${version ?? 'of an unknown version'}, not ${supportedVersions}`);
    }
    const found = names.has(`${prefix}lib/${libraryFile('torch_cuda')}`) ? 'cuda' : 'cpu';
    if (variant !== undefined && found !== variant)
      throw new Error(`${path} holds a ${found} LibTorch, not ${variant}`);
    const target = (name: string) => {
      const inner = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      return isWanted(inner) ? inner : undefined;
    };
    const wanted = zip.entries.filter(({ name }) => target(name) !== undefined);
    const total = wanted.reduce((sum, { size }) => sum + size, 0);
    await checkSpace(folder, total);
    await zip.extract(folder, target, { signal, onBytes: (done) => onBytes?.(done, total) });
  } finally {
    await zip.close();
  }
}

/** Copies what is needed of an unpacked LibTorch into `folder`. */
export async function copyLibtorch(dir: string, folder: string, { signal, onBytes }: UnpackOptions): Promise<void> {
  const names = (await readdir(dir, { recursive: true })).map((name) => name.split(sep).join('/')).filter(isWanted);
  const files = await Promise.all(names.map(async (name) => ({ name, info: await stat(join(dir, name)) })));
  const wanted = files.filter(({ info }) => info.isFile());
  const total = wanted.reduce((sum, { info }) => sum + info.size, 0);
  await checkSpace(folder, total);
  let done = 0;
  for (const { name, info } of wanted) {
    signal?.throwIfAborted();
    const target = join(folder, name);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(dir, name), target, constants.COPYFILE_FICLONE);
    done += info.size;
    onBytes?.(done, total);
  }
}

/** @throws {Error} when the disk of `folder`, which need not exist yet, has less than `bytes` left. */
export async function checkSpace(folder: string, bytes: number): Promise<void> {
  const free = await freeBytes(folder);
  if (free < bytes) {
    throw new Error(`${gigabytes(bytes)} are needed in ${folder}, and ${gigabytes(free)} are free on its disk`);
  }
}

async function freeBytes(folder: string): Promise<number> {
  const info = await statfs(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && dirname(folder) !== folder) return undefined;
    throw error;
  });
  return info === undefined ? freeBytes(dirname(folder)) : info.bavail * info.bsize;
}

/** `0.8 GB` */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
