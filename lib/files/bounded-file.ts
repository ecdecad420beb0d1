import type { Stats } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';

/**
 * The bytes of a regular file of at most `maxBytes`. Its size is looked up before anything is read, so that neither a huge file
 * nor a pipe can hold the process up. Throws a plain `Error` that says what is wrong with the file, without naming it: the caller
 * knows what the file is for, and wraps it. `remedy` is a sentence for a file that is too large, such as ". Divide it".
 */
export async function readBoundedFile(path: string, maxBytes: number, remedy = ''): Promise<Buffer> {
  const { size } = await regularFile(path);
  if (size > maxBytes) throw new Error(`it has ${size} bytes, more than the ${maxBytes} allowed${remedy}`);
  return await readFile(path);
}

/** The first bytes of a regular file, at most `length`. Throws as `readBoundedFile` does. */
export async function readFileStart(path: string, length: number): Promise<Buffer> {
  const { size } = await regularFile(path);
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(length, size)));
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Looked up before a file is opened: a pipe would never end. */
async function regularFile(path: string): Promise<Stats> {
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error('it does not exist', { cause: error }) : error;
  });
  if (stats.isDirectory()) throw new Error('it is a directory');
  if (!stats.isFile()) throw new Error('it is not a regular file');
  return stats;
}
