import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
/** Bit 3: sizes follow the data; bit 11: UTF-8 names. Encryption and patches have other bits. */
const KNOWN_FLAGS = 0x0808;
const MAX_ENTRIES = 100_000;
const CRC_SLICE = 8 << 20;

const inflate = promisify(inflateRaw);

export interface ZipEntry {
  /** The full name, with "/" between its parts. */
  name: string;
  method: 'stored' | 'deflated';
  /** Bytes of the content. */
  size: number;
  crc32: number;
  /** The bytes in the archive: the content itself when stored. */
  bytes: Buffer;
}

/** The archive breaks a rule; the message says which, in words that follow "the archive". */
export class ZipError extends Error {
  override readonly name = 'ZipError';
}

/**
 * The entries of a zip archive as torch writes it: stored or deflated, one disk, no encryption; zip64 is understood.
 * Stricter than readers in general, so that two readers cannot see two different archives: the end record ends the
 * file, local and central names agree, no name comes twice (even in another case, which torch's reader ignores),
 * no entry overlaps another, no name leaves the archive. Content is checked by `readEntry`.
 * @throws ZipError
 */
export function readZip(archive: Buffer): ZipEntry[] {
  const directory = locateDirectory(archive);
  const entries: ZipEntry[] = [];
  const spans: [begin: number, end: number][] = [];
  const names = new Set<string>();
  let at = directory.begin;
  for (let i = 0; i < directory.count; i++) {
    const { entry, localOffset, dataEnd, next } = readCentral(archive, at, directory.end);
    if (names.has(entry.name.toLowerCase())) throw new ZipError(`has ${JSON.stringify(entry.name)} twice`);
    if (dataEnd > directory.begin) throw new ZipError(`has ${JSON.stringify(entry.name)} inside its own directory`);
    names.add(entry.name.toLowerCase());
    entries.push(entry);
    spans.push([localOffset, dataEnd]);
    at = next;
  }
  if (at !== directory.end) throw new ZipError('has a directory of another length than it says');
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
  let content = entry.bytes;
  if (entry.method === 'deflated') {
    try {
      content = await inflate(entry.bytes, { maxOutputLength: Math.max(1, entry.size) });
    } catch {
      throw new ZipError(`has ${JSON.stringify(entry.name)}, which cannot be inflated to the size it claims`);
    }
  }
  if (content.length !== entry.size)
    throw new ZipError(`has ${JSON.stringify(entry.name)} of another size than it claims`);
  let sum = 0;
  for (let begin = 0; begin < content.length; begin += CRC_SLICE) {
    if (begin > 0) await setImmediate();
    sum = crc32(content.subarray(begin, begin + CRC_SLICE), sum);
  }
  if (sum !== entry.crc32)
    throw new ZipError(`has ${JSON.stringify(entry.name)}, whose CRC-32 does not match: a damaged file`);
  return content;
}

/** The central directory, from the end record in the last 22 bytes (torch writes no archive comment). */
function locateDirectory(archive: Buffer): { begin: number; end: number; count: number } {
  if (archive.length < 22 || archive.readUInt32LE(0) !== LOCAL) throw new ZipError('is no zip archive');
  const at = archive.length - 22;
  if (archive.readUInt32LE(at) !== END)
    throw new ZipError('does not end with a zip end record: it is cut short or has a tail');
  let [disk, startDisk, here, count] = [4, 6, 8, 10].map((offset) => archive.readUInt16LE(at + offset)) as [
    number,
    number,
    number,
    number,
  ];
  let size = archive.readUInt32LE(at + 12);
  let begin = archive.readUInt32LE(at + 16);
  let end = at;
  if (at >= 20 && archive.readUInt32LE(at - 20) === ZIP64_LOCATOR) {
    end = uint64(archive, at - 12);
    if (end + 56 !== at - 20 || archive.readUInt32LE(end) !== ZIP64_END)
      throw new ZipError('has a broken zip64 end record');
    disk = archive.readUInt32LE(end + 16);
    startDisk = archive.readUInt32LE(end + 20);
    here = uint64(archive, end + 24);
    count = uint64(archive, end + 32);
    size = uint64(archive, end + 40);
    begin = uint64(archive, end + 48);
  }
  if (disk !== 0 || startDisk !== 0 || here !== count) throw new ZipError('spans several disks');
  if (begin + size !== end || count > MAX_ENTRIES) throw new ZipError('has a directory that is not where it says');
  return { begin, end, count };
}

/** One record of the central directory and the local header that it points to. */
function readCentral(
  archive: Buffer,
  at: number,
  directoryEnd: number,
): { entry: ZipEntry; localOffset: number; dataEnd: number; next: number } {
  if (at + 46 > directoryEnd || archive.readUInt32LE(at) !== CENTRAL) throw new ZipError('has a broken directory');
  const flags = archive.readUInt16LE(at + 8);
  const method = archive.readUInt16LE(at + 10);
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset)) as [
    number,
    number,
    number,
  ];
  const next = at + 46 + nameBytes + extraBytes + commentBytes;
  if (next > directoryEnd) throw new ZipError('has a broken directory');
  const rawName = archive.subarray(at + 46, at + 46 + nameBytes);
  const name = checkName(rawName);
  if ((flags & ~KNOWN_FLAGS) !== 0)
    throw new ZipError(`has ${JSON.stringify(name)} encrypted or in another special form`);
  if (method !== 0 && method !== 8)
    throw new ZipError(`has ${JSON.stringify(name)} packed by the unknown method ${method}`);
  const [packed, size, localOffset] = largeSizes(
    archive,
    at,
    archive.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes),
  );

  if (localOffset + 30 > archive.length || archive.readUInt32LE(localOffset) !== LOCAL) {
    throw new ZipError(`has no local header for ${JSON.stringify(name)}`);
  }
  const localNameEnd = localOffset + 30 + archive.readUInt16LE(localOffset + 26);
  const dataBegin = localNameEnd + archive.readUInt16LE(localOffset + 28);
  const dataEnd = dataBegin + packed;
  const sameMethod = archive.readUInt16LE(localOffset + 8) === method;
  if (dataEnd > archive.length || !archive.subarray(localOffset + 30, localNameEnd).equals(rawName) || !sameMethod) {
    throw new ZipError(`has a local header for ${JSON.stringify(name)} that disagrees with its directory`);
  }
  if (method === 0 && packed !== size) throw new ZipError(`has ${JSON.stringify(name)} of two sizes`);
  const entry: ZipEntry = {
    name,
    method: method === 0 ? 'stored' : 'deflated',
    size,
    crc32: archive.readUInt32LE(at + 16),
    bytes: archive.subarray(dataBegin, dataEnd),
  };
  return { entry, localOffset, dataEnd, next };
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
