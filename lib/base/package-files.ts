import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package. The compiled file lies in `dist/chunks`, which is equally deep. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** The path of a module that runs as a program of its own. The argument is its path in `lib` without extension. */
export function programFile(path: string): string {
  return fileURLToPath(new URL(`../${path}${extname(import.meta.url)}`, import.meta.url));
}
