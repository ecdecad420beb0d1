import type { ByteSource } from '../../files/byte-source.ts';
import {
  type CentralRecord,
  END_BYTES,
  isEnd,
  locateDirectory,
  readDirectory,
  ZipError,
} from '../../files/zip-format.ts';

/**
 * The files of a zip archive as programs in general write it, folders left out.
 * @throws {ZipError} for what is not a whole zip archive, for encryption, and for names that leave the target folder.
 */
export async function readZipDirectory(source: ByteSource): Promise<CentralRecord[]> {
  const records = await readDirectory(source, await locateDirectory(source, await locateEnd(source)));
  const files = records.filter(({ name }) => !name.endsWith('/'));
  const names = new Set<string>();
  for (const { name, flags, localOffset, packedSize } of files) {
    if (name === '' || /^\/|\\|\0|:|(^|\/)\.{1,2}(\/|$)|\/\//.test(name))
      throw new ZipError(`holds a file with the unsafe name ${JSON.stringify(name.slice(0, 200))}`);
    if (flags & 1) throw new ZipError(`holds "${name}" encrypted`);
    if (names.has(name)) throw new ZipError(`holds "${name}" twice`);
    if (localOffset + packedSize > source.size) throw new ZipError(`holds "${name}", which is out of bounds`);
    names.add(name);
  }
  return files;
}

/** A comment of any length may follow the end record. */
async function locateEnd(source: ByteSource): Promise<number> {
  const begin = Math.max(0, source.size - END_BYTES - 0xffff);
  const tail = await source.read(begin, source.size - begin);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (isEnd(tail, at)) return begin + at;
  }
  throw new ZipError('is not a zip archive, or its end is missing');
}
