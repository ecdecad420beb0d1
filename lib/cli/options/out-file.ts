import { lstat } from 'node:fs/promises';
import { UsageError } from '../usage-error.ts';

/** Checks that an output file does not exist yet, unless `force` is given. `option` is the name in the message. @throws {UsageError} */
export async function checkOutFile(option: string, path: string, force: boolean): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory()) throw new UsageError(`${option}: ${path} is a directory. Name a file`);
  if (found && !force)
    throw new UsageError(`${option}: ${path} already exists. Name another file, or replace it with --force`);
}
