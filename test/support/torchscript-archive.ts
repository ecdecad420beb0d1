import { readEntry, readZip } from '../../lib/weights/zip.ts';
import { storedZip } from './stored-zip.ts';

export type Change = (content: Buffer) => Buffer | undefined;

/**
 * An archive of torch with some of its records changed, added (from nothing) or, where the change gives nothing, left out; by their
 * paths below the archive's own directory.
 */
export async function withRecords(archive: Buffer, changes: Record<string, Change>): Promise<Buffer> {
  const records: [string, Buffer | undefined][] = [];
  const left = new Map(Object.entries(changes));
  let root = '';
  for (const entry of await readZip(archive)) {
    root = entry.name.slice(0, entry.name.indexOf('/') + 1);
    const path = entry.name.slice(root.length);
    const content = await readEntry(entry, 1 << 20);
    const change = left.get(path);
    records.push([entry.name, change ? change(content) : content]);
    left.delete(path);
  }
  for (const [path, make] of left) records.push([root + path, make(Buffer.alloc(0))]);
  return storedZip(records.filter((record): record is [string, Buffer] => record[1] !== undefined));
}
