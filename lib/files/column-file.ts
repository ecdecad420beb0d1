import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

/** JSON, and columns of numbers that belong to it. */
export interface ColumnEntry {
  meta: unknown;
  columns: Columns;
}
export type Columns = Record<string, Column>;
export type Column = Uint8Array | Uint32Array | Float64Array;

/** Where a column lies in the file. */
interface Span {
  type: keyof typeof columnTypes;
  offset: number;
  length: number;
}
type Header = Record<string, { meta: unknown; columns: Record<string, Span> }>;

const columnTypes = { u8: Uint8Array, u32: Uint32Array, f64: Float64Array } as const;
/** Every part of the file begins at a multiple, so that its numbers need no copy. */
const ALIGNMENT = 8;
const HASH_BYTES = 32;
const CHUNK_BYTES = 8 * 1024 ** 2;

/** Writes a new file: the mark, the length of the header, the header (JSON), the columns, a hash of it all. */
export async function writeColumnFile(path: string, mark: string, entries: Record<string, ColumnEntry>): Promise<void> {
  const { header, columns } = layOut(entries);
  const text = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(startBytes(mark));
  start.write(mark);
  start.writeUInt32LE(text.length, start.length - 4);
  const handle = await open(path, 'wx');
  try {
    const hash = createHash('sha256');
    for (const part of [start, text, ...columns]) await writePadded(handle, part, hash);
    await handle.writeFile(hash.digest());
  } finally {
    await handle.close();
  }
}

/** The entries of a file; undefined for one that is damaged, larger than `maxBytes`, or has another mark. */
export async function readColumnFile(
  path: string,
  mark: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Record<string, ColumnEntry> | undefined> {
  const bytes = await readHashed(path, maxBytes, signal);
  const start = startBytes(mark);
  if (bytes === undefined || bytes.length < start || bytes.toString('latin1', 0, mark.length) !== mark)
    return undefined;
  const headerBytes = bytes.readUInt32LE(start - 4);
  const header = JSON.parse(bytes.toString('utf8', start, start + headerBytes)) as Header;
  const body = start + aligned(headerBytes);
  const columnOf = ({ type, offset, length }: Span) =>
    new columnTypes[type](bytes.buffer as ArrayBuffer, body + offset, length);
  return Object.fromEntries(
    Object.entries(header).map(([name, { meta, columns }]) => [
      name,
      { meta, columns: Object.fromEntries(Object.entries(columns).map(([key, span]) => [key, columnOf(span)])) },
    ]),
  );
}

function layOut(entries: Record<string, ColumnEntry>): { header: Header; columns: Column[] } {
  const header: Header = {};
  const all: Column[] = [];
  let offset = 0;
  for (const [name, { meta, columns }] of Object.entries(entries)) {
    const spans: Record<string, Span> = {};
    for (const [key, column] of Object.entries(columns)) {
      const type = column instanceof Float64Array ? 'f64' : column instanceof Uint32Array ? 'u32' : 'u8';
      spans[key] = { type, offset, length: column.length };
      offset += aligned(column.byteLength);
      all.push(column);
    }
    header[name] = { meta, columns: spans };
  }
  return { header, columns: all };
}

function startBytes(mark: string): number {
  return aligned(mark.length + 4);
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

async function writePadded(handle: FileHandle, part: Column, hash: Hash): Promise<void> {
  const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  const padding = Buffer.alloc(aligned(bytes.length) - bytes.length);
  for (let begin = 0; begin < bytes.length; begin += CHUNK_BYTES) {
    const chunk = bytes.subarray(begin, begin + CHUNK_BYTES);
    hash.update(chunk);
    await handle.writeFile(chunk);
  }
  hash.update(padding);
  await handle.writeFile(padding);
}

/** The content of a file whose last bytes are the hash of all before them, in a buffer of its own. */
async function readHashed(path: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer | undefined> {
  const handle = await open(path);
  try {
    const stats = await handle.stat();
    const length = stats.size - HASH_BYTES;
    if (!stats.isFile() || length < 0 || stats.size > maxBytes) return undefined;
    const bytes = Buffer.from(new ArrayBuffer(stats.size));
    const hash = createHash('sha256');
    for (let at = 0; at < bytes.length; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(bytes, at, Math.min(CHUNK_BYTES, bytes.length - at), at);
      if (bytesRead === 0) return undefined;
      hash.update(bytes.subarray(at, Math.max(at, Math.min(length, at + bytesRead))));
      at += bytesRead;
    }
    return hash.digest().equals(bytes.subarray(length)) ? bytes.subarray(0, length) : undefined;
  } finally {
    await handle.close();
  }
}
