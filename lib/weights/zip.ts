import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { type ByteSource, bufferSource } from './bytes.ts';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
/** Bit 3: sizes follow the data; bit 11: UTF-8 names. Encryption and patches have other bits. */
const KNOWN_FLAGS = 0x0808;
/** A model with its optimizer has some thousands. */
const MAX_ENTRIES = 20_000;
const MAX_DIRECTORY_BYTES = 32 << 20;
const CRC_SLICE = 1 << 20;

const inflate = promisify(inflateRaw);

export interface ZipEntry {
  /** The full name, with "/" between its parts. */
  name: string;
  method: 'stored' | 'deflated';
  /** Bytes of the content. */
  size: number;
  crc32: number;
  /** Where its bytes begin in the archive; they are the content itself when stored. */
  offset: number;
  packedSize: number;
  archive: ByteSource;
}

/** The archive breaks a rule; the message says which, in words that follow "the archive". */
export class ZipError extends Error {
  override readonly name = 'ZipError';
}

/**
 * The entries of a zip archive as torch writes it: stored or deflated, one disk, no encryption; zip64 is understood.
 * Stricter than readers in general, so that two readers cannot see two different archives: the end record ends the
 * file, local and central names agree, no name comes twice (even in another case, which torch's reader ignores),
 * no entry overlaps another, no name leaves the archive. Only headers are read; content is checked by `readEntry` or
 * `checkStored`.
 * @throws ZipError
 */
export async function readZip(archive: Buffer | ByteSource, maxEntries = MAX_ENTRIES): Promise<ZipEntry[]> {
  const source = Buffer.isBuffer(archive) ? bufferSource(archive) : archive;
  const { begin, end, count } = await locateDirectory(source);
  if (count > maxEntries) throw new ZipError(`has ${count} entries, above the limit of ${maxEntries}`);
  const directory = await source.read(begin, end - begin);
  const records = readDirectory(directory, count);
  const names = new Set<string>();
  for (const { name } of records) {
    if (names.has(name.toLowerCase())) throw new ZipError(`has ${JSON.stringify(name)} twice`);
    names.add(name.toLowerCase());
  }

  const entries: ZipEntry[] = [];
  const spans: [begin: number, end: number][] = [];
  for (const record of records) {
    const { rawName, localOffset, ...entry } = record;
    const offset = await dataOffset(source, record);
    if (offset + entry.packedSize > begin)
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

/** The content of an entry, at most `maxBytes`, its CRC-32 checked. @throws ZipError */
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

/** Checks the CRC-32 of a stored entry of any size, a slice at a time. @throws ZipError */
export async function checkStored(entry: ZipEntry): Promise<void> {
  if (entry.method !== 'stored')
    throw new ZipError(`has ${JSON.stringify(entry.name)} packed, which torch does not do`);
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

/** The central directory, from the end record in the last 22 bytes (torch writes no archive comment). */
async function locateDirectory(source: ByteSource): Promise<{ begin: number; end: number; count: number }> {
  if (source.size < 22 || (await source.read(0, 4)).readUInt32LE(0) !== LOCAL) throw new ZipError('is no zip archive');
  let end = source.size - 22;
  const record = await source.read(end, 22);
  if (record.readUInt32LE(0) !== END)
    throw new ZipError('does not end with a zip end record: it is cut short or has a tail');
  let disks = [record.readUInt16LE(4), record.readUInt16LE(6)];
  let [here, count] = [record.readUInt16LE(8), record.readUInt16LE(10)];
  let [size, begin] = [record.readUInt32LE(12), record.readUInt32LE(16)];
  const locator = end >= 20 ? await source.read(end - 20, 20) : undefined;
  if (locator?.readUInt32LE(0) === ZIP64_LOCATOR) {
    const at = uint64(locator, 8);
    if (at + 56 !== end - 20) throw new ZipError('has a broken zip64 end record');
    const wide = await source.read(at, 56);
    if (wide.readUInt32LE(0) !== ZIP64_END) throw new ZipError('has a broken zip64 end record');
    disks = [wide.readUInt32LE(16), wide.readUInt32LE(20)];
    [here, count] = [uint64(wide, 24), uint64(wide, 32)];
    [size, begin] = [uint64(wide, 40), uint64(wide, 48)];
    end = at;
  }
  if (disks.some((disk) => disk !== 0) || here !== count) throw new ZipError('spans several disks');
  if (begin + size !== end) throw new ZipError('has a directory that is not where it says');
  if (size > MAX_DIRECTORY_BYTES) throw new ZipError(`has a directory of ${size} bytes`);
  return { begin, end, count };
}

/** What the central directory says of an entry. */
type CentralRecord = Omit<ZipEntry, 'offset' | 'archive'> & { rawName: Buffer; localOffset: number };

function readDirectory(directory: Buffer, count: number): CentralRecord[] {
  const records: CentralRecord[] = [];
  let at = 0;
  while (records.length < count) {
    const { record, next } = readCentral(directory, at);
    records.push(record);
    at = next;
  }
  if (at !== directory.length) throw new ZipError('has a directory of another length than it says');
  return records;
}

function readCentral(directory: Buffer, at: number): { record: CentralRecord; next: number } {
  if (at + 46 > directory.length || directory.readUInt32LE(at) !== CENTRAL)
    throw new ZipError('has a broken directory');
  const flags = directory.readUInt16LE(at + 8);
  const method = directory.readUInt16LE(at + 10);
  const nameEnd = at + 46 + directory.readUInt16LE(at + 28);
  const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
  const next = extraEnd + directory.readUInt16LE(at + 32);
  if (next > directory.length) throw new ZipError('has a broken directory');
  const rawName = directory.subarray(at + 46, nameEnd);
  const name = checkName(rawName);
  if ((flags & ~KNOWN_FLAGS) !== 0)
    throw new ZipError(`has ${JSON.stringify(name)} encrypted or in another special form`);
  if (method !== 0 && method !== 8)
    throw new ZipError(`has ${JSON.stringify(name)} packed by the unknown method ${method}`);
  const [packedSize, size, localOffset] = largeSizes(directory, at, directory.subarray(nameEnd, extraEnd));
  const crc32 = directory.readUInt32LE(at + 16);
  const kind = method === 0 ? 'stored' : 'deflated';
  return { record: { name, rawName, method: kind, size, packedSize, crc32, localOffset }, next };
}

/** Where the content of an entry begins, by its local header, which has to agree with the directory. */
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

/** Packed size, size and offset, from the zip64 field where the 32-bit one is full. */
function largeSizes(archive: Buffer, at: number, extra: Buffer): [packed: number, size: number, offset: number] {
  let [packed, size, offset] = [20, 24, 42].map((field) => archive.readUInt32LE(at + field)) as [
    number,
    number,
    number,
  ];
  if (packed !== 0xffffffff && size !== 0xffffffff && offset !== 0xffffffff) return [packed, size, offset];
  for (let field = 0; field + 4 <= extra.length; field += 4 + extra.readUInt16LE(field + 2)) {
    if (extra.readUInt16LE(field) !== 1) continue;
    let value = field + 4;
    const take = () => {
      if (value + 8 > extra.length) throw new ZipError('has a broken zip64 field');
      value += 8;
      return uint64(extra, value - 8);
    };
    if (size === 0xffffffff) size = take();
    if (packed === 0xffffffff) packed = take();
    if (offset === 0xffffffff) offset = take();
    return [packed, size, offset];
  }
  throw new ZipError('lacks a zip64 field');
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

function uint64(buffer: Buffer, at: number): number {
  const value = buffer.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ZipError('has a size beyond any file');
  return Number(value);
}
