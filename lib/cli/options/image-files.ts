import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { messageOf } from '../../base/errors.ts';

const IMAGE = /\.(jpe?g|png|webp)$/i;

/**
 * The images that the arguments of `detect` stand for: a file is taken whatever its name, of a folder those with the ending of a
 * image, by name; each once. What is not there or cannot be listed goes to `onProblem`.
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
 * Gives each image a name of its own in the output folder: `a.jpg`, for a second one `a-2.jpg`. Letter case does not tell names
 * apart, because it does not on every disk. WebP becomes PNG.
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
