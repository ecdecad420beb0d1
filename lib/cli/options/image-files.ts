import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { messageOf } from '../../base/errors.ts';

const IMAGE = /\.(jpe?g|png|webp)$/i;

/**
 * Lists the images of the command `detect`. A file is taken whatever its name. A folder gives its files with an image extension, sorted by
 * name. Each image occurs once. Missing and unreadable paths go to `onProblem`.
 */
export async function listImages(
  inputs: readonly string[],
  recursive: boolean,
  onProblem: (path: string, message: string) => void,
): Promise<string[]> {
  const files = new Set<string>();
  for (const input of inputs) {
    try {
      if ((await stat(input)).isDirectory()) {
        const names = await readdir(input, { recursive });
        for (const name of names.sort())
          if (IMAGE.test(name) && !basename(name).startsWith('.')) files.add(join(input, name));
      } else {
        files.add(join(input));
      }
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      onProblem(input, missing ? 'it does not exist' : messageOf(error));
    }
  }
  return [...files];
}

export interface OutputName {
  name: string;
  format: 'jpeg' | 'png';
}

/**
 * Gives each image a unique name in the output folder: `a.jpg`, then `a-2.jpg`. Names that differ only in case count as equal, because some
 * disks ignore case. WebP becomes PNG.
 */
export function outputNames(taken: Iterable<string> = []): (path: string) => OutputName {
  const used = new Set([...taken].map((name) => name.toLowerCase()));
  return (path) => {
    const written = extname(path);
    const isJpeg = /^\.jpe?g$/i.test(written);
    const extension = isJpeg || /^\.png$/i.test(written) ? written : '.png';
    const stem = basename(path, written);
    let name = `${stem}${extension}`;
    for (let number = 2; used.has(name.toLowerCase()); number++) name = `${stem}-${number}${extension}`;
    used.add(name.toLowerCase());
    return { name, format: isJpeg ? 'jpeg' : 'png' };
  };
}
