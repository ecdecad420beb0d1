import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Opening a pipe for reading waits for a writer without this flag. Windows has neither. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a regular file for `use`, and closes it. Throws a plain `Error` that says what is wrong with the file, without naming it: the
 * caller knows what the file is for, and wraps it.
 */
export async function withRegularFile<T>(
  path: string,
  use: (file: FileHandle, stats: Stats) => Promise<T>,
): Promise<T> {
  const file = await open(path, FLAGS).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error('it does not exist', { cause: error }) : error;
  });
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) throw new Error('it is a directory');
    if (!stats.isFile()) throw new Error('it is not a regular file');
    return await use(file, stats);
  } finally {
    await file.close();
  }
}

/**
 * The bytes of a regular file of at most `maxBytes`. Its size is looked up before anything is read, so that neither a huge file nor a
 * pipe can hold the process up. Throws as `withRegularFile`. `remedy` is a sentence for a file that is too large, such as ". Divide it".
 */
export async function readBoundedFile(path: string, maxBytes: number, remedy = ''): Promise<Buffer> {
  return await withRegularFile(path, async (file, { size }) => {
    if (size > maxBytes) throw new Error(`it has ${size} bytes, more than the ${maxBytes} allowed${remedy}`);
    return await file.readFile();
  });
}

/** The first bytes of a regular file, at most `length`. Throws as `withRegularFile` does. */
export async function readFileStart(path: string, length: number): Promise<Buffer> {
  return await withRegularFile(path, async (file, { size }) => {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(length, size)));
    return buffer.subarray(0, bytesRead);
  });
}
