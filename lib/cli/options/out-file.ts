import { lstat } from 'node:fs/promises';
import { UsageError } from '../usage-error.ts';

/** Nothing of the user's is replaced unasked: the file that `option` names is not there yet, or `force` was given. @throws UsageError */
export async function checkOutFile(option: string, path: string, force: boolean): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory()) throw new UsageError(`${option}: ${path} is a directory. Name a file`);
  if (found && !force)
    throw new UsageError(`${option}: ${path} is there already. Name another file, or replace it with --force`);
}
