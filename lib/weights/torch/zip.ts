import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { type ByteSource, bufferSource } from '../../files/byte-source.ts';
import {
  type CentralRecord,
  END_BYTES,
  isEnd,
  LOCAL,
  locateDirectory,
  readDirectory,
  ZipError,
} from '../../files/zip-format.ts';

/** The accepted flags. Bit 3: sizes follow the data; bit 11: UTF-8 names. Encryption and patches have other bits. */
const KNOWN_FLAGS = 0x0808;
/** The largest number of entries. A model with its optimizer has thousands. */
const MAX_ENTRIES = 20_000;
const CRC_SLICE = 1 << 20;

const inflate = promisify(inflateRaw);

export interface ZipEntry {
  /** The full name, with "/" between its parts. */
  name: string;
  method: 'stored' | 'deflated';
  /** The size of the content in bytes. */
  size: number;
  crc32: number;
  /** The position of the entry's bytes in the archive. They are the content itself if stored. */
  offset: number;
  packedSize: number;
  archive: ByteSource;
}

/**
 * Reads the entries of a zip archive as torch writes it: stored or deflated, one disk, no encryption, zip64 allowed. It is stricter than
 * other readers, so that two readers cannot see two different archives:
 *
 * - The end record ends the file, and local and central names agree.
 * - No name occurs twice, not even in another case, which torch's reader ignores.
 * - No entry overlaps another one, and no name leaves the archive.
 *
 * It reads only headers; `readEntry` and `checkStored` check contents.
 * @throws {ZipError}
 */
export async function readZip(archive: Buffer | ByteSource, maxEntries = MAX_ENTRIES): Promise<ZipEntry[]> {
  const source = Buffer.isBuffer(archive) ? bufferSource(archive) : archive;
  const place = await locateDirectory(source, await locateEnd(source));
  if (place.count > maxEntries) throw new ZipError(`has ${place.count} entries, above the limit of ${maxEntries}`);
  const records = await readDirectory(source, place);
  const names = new Set<string>();
  for (const record of records) {
    const name = checkName(record.rawName);
    if ((record.flags & ~KNOWN_FLAGS) !== 0)
      throw new ZipError(`has ${JSON.stringify(name)} encrypted or in another special form`);
    if (names.has(name.toLowerCase())) throw new ZipError(`has ${JSON.stringify(name)} twice`);
    names.add(name.toLowerCase());
  }

  const entries: ZipEntry[] = [];
  const spans: [begin: number, end: number][] = [];
  for (const record of records) {
    const { rawName, localOffset, flags: _, ...entry } = record;
    const offset = await dataOffset(source, record);
    if (offset + entry.packedSize > place.begin)
      throw new ZipError(`has ${JSON.stringify(entry.name)} inside its own directory`);
    entries.push({ ...entry, offset, archive: source });
    spans.push([localOffset, offset + entry.packedSize]);
  }
  spans.sort(([a], [b]) => a - b);
  for (let i = 1; i < spans.length; i++) {
    if (spans[i]![0] < spans[i - 1]![1]) throw new ZipError('has entries that overlap');
  }
  return entries;
}

/** Reads the content of an entry, at most `maxBytes`, and checks its CRC-32. @throws {ZipError} */
export async function readEntry(entry: ZipEntry, maxBytes: number): Promise<Buffer> {
  if (entry.size > maxBytes) {
    throw new ZipError(`has ${JSON.stringify(entry.name)} of ${entry.size} bytes, above the limit of ${maxBytes}`);
  }
  let content = await entry.archive.read(entry.offset, entry.packedSize);
  if (entry.method === 'deflated') {
    try {
      content = await inflate(content, { maxOutputLength: Math.max(1, entry.size) });
    } catch {
      throw new ZipError(`has ${JSON.stringify(entry.name)}, which cannot be inflated to the size it claims`);
    }
  }
  if (content.length !== entry.size)
    throw new ZipError(`has ${JSON.stringify(entry.name)} of another size than it claims`);
  await checkSum(entry, bufferSource(content), 0);
  return content;
}

/** Checks the CRC-32 of a stored entry of any size, slice by slice. @throws {ZipError} */
export async function checkStored(entry: ZipEntry): Promise<void> {
  if (entry.method !== 'stored')
    throw new ZipError(`has ${JSON.stringify(entry.name)} compressed, which torch does not do`);
  await checkSum(entry, entry.archive, entry.offset);
}

async function checkSum({ name, size, crc32: expected }: ZipEntry, source: ByteSource, offset: number): Promise<void> {
  const slice = Buffer.allocUnsafe(Math.min(size, CRC_SLICE));
  let sum = 0;
  for (let done = 0; done < size; done += CRC_SLICE) {
    if (done > 0) await setImmediate();
    sum = crc32(await source.read(offset + done, Math.min(CRC_SLICE, size - done), slice), sum);
  }
  if (sum !== expected) throw new ZipError(`has ${JSON.stringify(name)}, whose CRC-32 does not match: a damaged file`);
}

/** Finds the end record: the last 22 bytes, because torch writes no archive comment. */
async function locateEnd(source: ByteSource): Promise<number> {
  const end = source.size - END_BYTES;
  if (end < 0 || (await source.read(0, 4)).readUInt32LE(0) !== LOCAL) throw new ZipError('is not a zip archive');
  if (!isEnd(await source.read(end, END_BYTES), 0))
    throw new ZipError('does not end with a zip end record: it is cut short or has a tail');
  return end;
}

/** The position of an entry's content, from its local header, which must agree with the central directory. */
async function dataOffset(source: ByteSource, record: CentralRecord): Promise<number> {
  const { name, rawName, localOffset, method, packedSize, size } = record;
  const headerBytes = 30 + rawName.length;
  const header =
    localOffset + 30 <= source.size
      ? await source.read(localOffset, Math.min(headerBytes, source.size - localOffset))
      : undefined;
  if (header?.readUInt32LE(0) !== LOCAL) throw new ZipError(`has no local header for ${JSON.stringify(name)}`);
  const offset = localOffset + headerBytes + header.readUInt16LE(28);
  const agrees =
    header.readUInt16LE(26) === rawName.length &&
    header.subarray(30).equals(rawName) &&
    header.readUInt16LE(8) === (method === 'stored' ? 0 : 8) &&
    offset + packedSize <= source.size;
  if (!agrees) throw new ZipError(`has a local header for ${JSON.stringify(name)} that disagrees with its directory`);
  if (method === 'stored' && packedSize !== size) throw new ZipError(`has ${JSON.stringify(name)} of two sizes`);
  return offset;
}

function checkName(raw: Buffer): string {
  const name = raw.toString('utf8');
  const parts = name.split('/');
  const sound =
    Buffer.from(name).equals(raw) &&
    !/[\0-\x1f\\]/.test(name) &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!sound) throw new ZipError(`has the name ${JSON.stringify(name.slice(0, 200))}, which torch does not write`);
  return name;
}
