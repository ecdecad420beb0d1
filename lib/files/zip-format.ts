import type { ByteSource } from './byte-source.ts';

/**
 * The zip format (PKWARE APPNOTE, zip64 included): archives on one disk of stored and deflated entries. What an archive may hold beyond
 * that is for its reader to say.
 */

export const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
export const END_BYTES = 22;
const MAX_DIRECTORY_BYTES = 64 << 20;

/** The archive breaks a rule; the message says which, in words that follow "the archive". */
export class ZipError extends Error {
  override readonly name = 'ZipError';
}

export interface DirectoryPlace {
  begin: number;
  end: number;
  /** Entries. */
  count: number;
}

/** What the central directory says of an entry. */
export interface CentralRecord {
  rawName: Buffer;
  /** Its name as text, whatever that is. */
  name: string;
  flags: number;
  method: 'stored' | 'deflated';
  /** Bytes of the content, and of what is in the archive for it. */
  size: number;
  packedSize: number;
  crc32: number;
  /** Of its local header. */
  localOffset: number;
}

export function isEnd(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32LE(at) === END;
}

/** Where the directory is, by the end record at `end`. @throws ZipError */
export async function locateDirectory(source: ByteSource, endRecord: number): Promise<DirectoryPlace> {
  let end = endRecord;
  const record = await source.read(end, END_BYTES);
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

/** @throws ZipError */
export async function readDirectory(
  source: ByteSource,
  { begin, end, count }: DirectoryPlace,
): Promise<CentralRecord[]> {
  const directory = await source.read(begin, end - begin);
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
  const name = rawName.toString('utf8');
  if (method !== 0 && method !== 8)
    throw new ZipError(`has ${JSON.stringify(name)} packed by the unknown method ${method}`);
  const [packedSize, size, localOffset] = largeSizes(directory, at, directory.subarray(nameEnd, extraEnd));
  const crc32 = directory.readUInt32LE(at + 16);
  const kind = method === 0 ? 'stored' : 'deflated';
  return { record: { rawName, name, flags, method: kind, size, packedSize, crc32, localOffset }, next };
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

function uint64(buffer: Buffer, at: number): number {
  const value = buffer.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ZipError('has a size beyond any file');
  return Number(value);
}
