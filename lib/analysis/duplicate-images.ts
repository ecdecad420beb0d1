import { stat } from 'node:fs/promises';
import { DetectorError, messageOf } from '../base/errors.ts';
import { hashFile } from '../data/content-hash.ts';
import type { Sample } from '../data/dataset.ts';

export interface DuplicateHooks {
  /** Called after each image. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Finds groups of images whose files have the same bytes, by their ids. It reads only files of equal size.
 * @throws {DetectorError} `IMAGE_UNREADABLE` if a file is missing
 * @throws the reason of `signal` when it is aborted
 */
export async function findDuplicateImages(samples: readonly Sample[], hooks: DuplicateHooks = {}): Promise<string[][]> {
  const { onProgress, signal } = hooks;
  const bySize = new Map<number, Sample[]>();
  for (const sample of samples) {
    signal?.throwIfAborted();
    append(bySize, (await reading(sample.imagePath, stat)).size, sample);
  }
  const byContent = new Map<string, string[]>();
  let done = 0;
  for (const alike of bySize.values()) {
    for (const { id, imagePath } of alike) {
      signal?.throwIfAborted();
      if (alike.length > 1) append(byContent, await reading(imagePath, hashFile), id);
      onProgress?.(++done, samples.length);
    }
  }
  return [...byContent.values()].filter((ids) => ids.length > 1);
}

function append<K, T>(lists: Map<K, T[]>, key: K, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

async function reading<T>(path: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path);
  } catch (error) {
    throw new DetectorError('IMAGE_UNREADABLE', `Cannot read image "${path}": ${messageOf(error)}`, { cause: error });
  }
}
