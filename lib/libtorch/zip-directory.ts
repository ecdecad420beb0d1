import type { FileHandle } from 'node:fs/promises';

/** One file of a zip archive, as the central directory describes it. */
export type ZipEntry = {
  /** Relative, with forward slashes, without `..`. */
  name: string;
  compressedSize: number;
  size: number;
  crc32: number;
  isDeflated: boolean;
  /** Position of its local header in the archive. */
  offset: number;
};

const endSignature = 0x06054b50;
const end64LocatorSignature = 0x07064b50;
const end64Signature = 0x06064b50;
const entrySignature = 0x02014b50;
const maxDirectoryBytes = 64 * 2 ** 20;
/** A 16 or 32-bit field of all ones stands for a value in the zip64 record. */
const in64 = 0xffffffff;

/**
 * Reads the list of files of a zip archive (PKWARE APPNOTE, zip64 included), folders left out.
 * @throws {Error} for what is not a whole zip archive, for encryption, and for names that leave the target folder.
 */
export async function readZipDirectory(file: FileHandle): Promise<ZipEntry[]> {
  const { size: fileSize } = await file.stat();
  const { offset, size } = await findDirectory(file, fileSize);
  if (size > maxDirectoryBytes || offset + size > fileSize) throw new Error('its central directory is out of bounds');
  const directory = await readExactly(file, offset, size);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at < directory.length; ) {
    const { entry, next } = parseEntry(directory, at);
    at = next;
    if (entry.name.endsWith('/')) continue;
    checkName(entry.name);
    if (entries.has(entry.name)) throw new Error(`it holds "${entry.name}" twice`);
    if (entry.offset + entry.compressedSize > fileSize) throw new Error(`"${entry.name}" is out of bounds`);
    entries.set(entry.name, entry);
  }
  return [...entries.values()];
}

async function findDirectory(file: FileHandle, fileSize: number): Promise<{ offset: number; size: number }> {
  const tailSize = Math.min(fileSize, 22 + 0xffff);
  const tail = await readExactly(file, fileSize - tailSize, tailSize);
  for (let at = tail.length - 22; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== endSignature) continue;
    const size = tail.readUInt32LE(at + 12);
    const offset = tail.readUInt32LE(at + 16);
    if (at < 20 || tail.readUInt32LE(at - 20) !== end64LocatorSignature) return { offset, size };
    const record = await readExactly(file, toNumber(tail.readBigUInt64LE(at - 12)), 56);
    if (record.readUInt32LE(0) !== end64Signature) throw new Error('its zip64 record is damaged');
    return { offset: toNumber(record.readBigUInt64LE(48)), size: toNumber(record.readBigUInt64LE(40)) };
  }
  throw new Error('it is not a zip archive, or its end is missing');
}

function parseEntry(directory: Buffer, at: number): { entry: ZipEntry; next: number } {
  if (at + 46 > directory.length || directory.readUInt32LE(at) !== entrySignature) {
    throw new Error('its central directory is damaged');
  }
  const nameEnd = at + 46 + directory.readUInt16LE(at + 28);
  const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
  const next = extraEnd + directory.readUInt16LE(at + 32);
  if (next > directory.length) throw new Error('its central directory is damaged');
  const name = directory.toString('utf8', at + 46, nameEnd);
  if (directory.readUInt16LE(at + 8) & 1) throw new Error(`"${name}" is encrypted`);
  const method = directory.readUInt16LE(at + 10);
  if (method !== 0 && method !== 8)
    throw new Error(`"${name}" is compressed with method ${method}, not stored or deflated`);
  const wide = readWideFields(directory.subarray(nameEnd, extraEnd), [
    directory.readUInt32LE(at + 24),
    directory.readUInt32LE(at + 20),
    directory.readUInt32LE(at + 42),
  ]);
  const [size, compressedSize, offset] = wide as [number, number, number];
  const entry = {
    name,
    size,
    compressedSize,
    offset,
    crc32: directory.readUInt32LE(at + 16),
    isDeflated: method === 8,
  };
  return { entry, next };
}

/** Replaces the fields that are all ones by those of the zip64 extra field, which holds just these in this order. */
function readWideFields(extra: Buffer, fields: number[]): number[] {
  const wide = findExtra(extra, 1);
  let at = 0;
  return fields.map((field) => {
    if (field !== in64) return field;
    if (wide === undefined || at + 8 > wide.length) throw new Error('a zip64 field is missing');
    at += 8;
    return toNumber(wide.readBigUInt64LE(at - 8));
  });
}

function findExtra(extra: Buffer, id: number): Buffer | undefined {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === id) return extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  return undefined;
}

function checkName(name: string): void {
  const isUnsafe = name === '' || /^\/|\\|\0|:|(^|\/)\.{1,2}(\/|$)|\/\//.test(name);
  if (isUnsafe) throw new Error(`it holds a file with the unsafe name ${JSON.stringify(name.slice(0, 200))}`);
}

function toNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error('it states an impossible size');
  return Number(value);
}

/** `length` bytes at `offset`. @throws {Error} when the file ends before. */
export async function readExactly(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) throw new Error('it ends too early');
    done += bytesRead;
  }
  return buffer;
}
