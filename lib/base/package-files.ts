import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package. (Compiled, this file lies in `dist/chunks`: as deep as here.) */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/** A module of this library that is a program of its own, by its path in `lib` without extension. */
export function programFile(path: string): string {
  return fileURLToPath(new URL(`../${path}${extname(import.meta.url)}`, import.meta.url));
}
