import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { DetectorError, messageOf } from '../base/errors.ts';
import { type ByteSource, fileSource } from '../files/byte-source.ts';

/**
 * Opens a weights file while `use` runs.
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND` if it cannot be opened or is not a file
 */
export async function withWeightsFile<T>(path: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  let handle: FileHandle;
  try {
    // Non-blocking: if this is a pipe, it must not wait for a writer.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw new DetectorError(
      'WEIGHTS_NOT_FOUND',
      `Cannot open the weights ${path}: ${messageOf(error)}. Check the path.`,
      {
        cause: error,
      },
    );
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new DetectorError(
        'WEIGHTS_INVALID',
        `The weights ${path} are not a file. Give the path of a weights file.`,
      );
    }
    return await use(fileSource(handle, stat.size));
  } finally {
    await handle.close();
  }
}
