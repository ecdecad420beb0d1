import { type FileHandle, open } from 'node:fs/promises';

/** Of the System V ABI, 64-bit little-endian, as all Linux that LibTorch is built for. */
const SEGMENT = { load: 1, dynamic: 2 };
const TAG = { end: 0n, needed: 1n, strings: 5n };
const MAX_TABLE_BYTES = 1 << 20;
const LONGEST_NAME = 256;

interface Segment {
  type: number;
  offset: number;
  address: number;
  size: number;
}

/**
 * The names of the libraries that a shared object asks the system's loader for (`DT_NEEDED`), in their order. Reads only what it
 * needs, however large the file is.
 * @throws {Error} without the path for what is no 64-bit ELF file, or damaged
 */
export async function neededLibraries(path: string): Promise<string[]> {
  const file = await open(path, 'r');
  try {
    const segments = await readSegments(file);
    const dynamic = segments.find(({ type }) => type === SEGMENT.dynamic);
    if (dynamic === undefined) return []; // statically linked
    const entries = await readDynamic(file, dynamic);
    const strings = entries.find(({ tag }) => tag === TAG.strings);
    if (strings === undefined) throw new Error('its dynamic section has no string table');
    const begin = offsetOf(segments, Number(strings.value));
    const names = entries.filter(({ tag }) => tag === TAG.needed).map(({ value }) => begin + Number(value));
    return await Promise.all(names.map((offset) => readName(file, offset)));
  } finally {
    await file.close();
  }
}

async function readSegments(file: FileHandle): Promise<Segment[]> {
  const header = await readBytes(file, 0, 64);
  if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) {
    throw new Error('it is no 64-bit ELF file');
  }
  const [begin, size, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56)];
  if (count > 0 && size < 56) throw new Error('its program headers are damaged');
  const table = await readBytes(file, begin, size * count);
  return Array.from({ length: count }, (_, i) => {
    const entry = table.subarray(i * size, (i + 1) * size);
    const number = (at: number) => Number(entry.readBigUInt64LE(at));
    return { type: entry.readUInt32LE(0), offset: number(8), address: number(16), size: number(32) };
  });
}

async function readDynamic(file: FileHandle, { offset, size }: Segment): Promise<{ tag: bigint; value: bigint }[]> {
  const table = await readBytes(file, offset, size);
  const entries: { tag: bigint; value: bigint }[] = [];
  for (let at = 0; at + 16 <= table.length; at += 16) {
    const tag = table.readBigUInt64LE(at);
    if (tag === TAG.end) break;
    entries.push({ tag, value: table.readBigUInt64LE(at + 8) });
  }
  return entries;
}

/** Where in the file that is which is loaded at `address`. */
function offsetOf(segments: readonly Segment[], address: number): number {
  const segment = segments.find(
    ({ type, address: begin, size }) => type === SEGMENT.load && address >= begin && address < begin + size,
  );
  if (segment === undefined) throw new Error('its string table is in no segment');
  return segment.offset + address - segment.address;
}

async function readName(file: FileHandle, offset: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST_NAME), 0, LONGEST_NAME, offset);
  const end = buffer.subarray(0, bytesRead).indexOf(0);
  if (end <= 0) throw new Error('a name in its string table is damaged');
  return buffer.toString('utf8', 0, end);
}

async function readBytes(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (length > MAX_TABLE_BYTES || !Number.isSafeInteger(offset)) throw new Error('its headers are damaged');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  if (bytesRead < length) throw new Error('it is cut short');
  return buffer;
}
