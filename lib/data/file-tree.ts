import { opendir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DetectorError, messageOf } from '../base/errors.ts';

/** What an image file is called. Whether it is one shows its content. */
export const IMAGE_NAME = /\.(jpe?g|jpe|jfif|jif|png|webp)$/i;

/** What other image files are called: named in the remedy where one stands in for an image that was looked for. */
export const OTHER_IMAGE =
  /\.(bmp|dib|gif|tiff?|heic|heif|avif|jp2|j2k|jxl|svg|ico|psd|raw|dng|cr2|nef|arw|ppm|pgm|tga|exr)$/i;

/** Far more than a data set has: what is beyond is a whole disk, given by mistake. */
const MAX_FILES = 20_000_000;
const MAX_DEPTH = 32;

/** Every file below a folder. */
export interface FileTree {
  root: string;
  /** Paths below `root`, with `/`, in code-unit order. Names that begin with a dot are not among them. */
  files: readonly string[];
}

/** A folder that was listed. */
export interface ListedTree extends FileTree {
  /** The folders in it, `root` itself as the empty text. */
  folders: readonly string[];
}

/**
 * Lists a folder and the folders in it. Links are followed, each folder once.
 * Rejects with `DetectorError` `DATASET_NOT_FOUND` for a folder that cannot be listed, or with the reason of `signal`.
 */
export async function listTree(root: string, signal?: AbortSignal): Promise<ListedTree> {
  const files: string[] = [];
  const walked: string[] = [];
  const seen = new Set<string>();
  const walk = async (below: string, depth: number): Promise<void> => {
    const path = join(root, below);
    const real = await realpath(path);
    if (seen.has(real) || depth > MAX_DEPTH) return;
    seen.add(real);
    walked.push(below);
    const folders: string[] = [];
    for await (const entry of await opendir(path, { bufferSize: 1024 })) {
      if (entry.name.startsWith('.')) continue; // the operating system's, for example macOS's "._a.jpg" beside "a.jpg"
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      const isFolder = entry.isSymbolicLink()
        ? ((await stat(join(root, name)).catch(() => undefined))?.isDirectory() ?? false)
        : entry.isDirectory();
      if (isFolder) folders.push(name);
      else if (files.push(name) > MAX_FILES) throw new Error(`it holds more than ${MAX_FILES} files`);
      if (files.length % 4096 === 0) await setImmediate(undefined, { signal });
    }
    signal?.throwIfAborted();
    for (const folder of folders.sort()) await walk(folder, depth + 1);
  };
  try {
    await walk('', 0);
  } catch (error) {
    signal?.throwIfAborted();
    throw new DetectorError('DATASET_NOT_FOUND', `Cannot list the folder "${root}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  return { root, files: files.sort(), folders: walked };
}
