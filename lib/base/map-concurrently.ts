import { availableParallelism } from 'node:os';

/**
 * Maps a few items at a time and returns the results in the order of the items. After a failure it starts no further item, and rejects
 * once nothing runs any more.
 */
export async function mapConcurrently<T, R>(
  items: ArrayLike<T>,
  action: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = await action(items[index]!, index);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  const width = Math.min(4, Math.max(2, availableParallelism()));
  const ends = await Promise.allSettled(Array.from({ length: width }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return results;
}
