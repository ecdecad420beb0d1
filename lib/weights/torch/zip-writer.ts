import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { DetectorError } from '../../base/errors.ts';

/** An entry of a new archive, with its bytes or their number. */
export interface NewEntry {
  name: string;
  content: Buffer | number;
}

interface PlacedEntry extends NewEntry {
  nameBytes: Buffer;
  size: number;
  /** The offset of the local header; `offset` is that of the content after it. */
  headerOffset: number;
  offset: number;
}

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
/** The alignment of contents in bytes, as torch writes them. An extra field "FB" with many "Z" fills the gap. */
const ALIGNMENT = 64;
const EXTRA_BYTES = 4;
/** 1980-01-01, the first date of the zip format. A fixed date gives the same bytes for the same content. */
const DATE = 0x0021;
const VERSION = 10;
const SUM_SLICE = 1 << 20;

/**
 * Writes a zip archive of stored entries to the new file `path`. `fill` writes contents that are not given. It gets the position of each
 * content and must not change the file's size. CRC-32 sums are then computed slice by slice, so that no content needs to be in memory.
 * @throws {DetectorError} `OUTPUT_NOT_WRITABLE` for an archive of 4 GiB or more, which would need zip64
 */
export async function writeStoredZip(
  path: string,
  entries: readonly NewEntry[],
  fill: (offsets: readonly number[]) => Promise<void>,
): Promise<void> {
  const { placed, end } = place(entries);
  const directoryBytes = placed.reduce((sum, { nameBytes }) => sum + CENTRAL_BYTES + nameBytes.length, 0);
  if (end + directoryBytes + END_BYTES > 0xffffffff) {
    throw new DetectorError(
      'OUTPUT_NOT_WRITABLE',
      `Cannot write ${path}: it would have ${end} bytes, but this format is limited to 4 GiB. Use safetensors.`,
    );
  }
  const file = await open(path, 'wx+');
  try {
    for (const entry of placed) {
      await writeAll(file, localHeader(entry), entry.headerOffset);
      if (typeof entry.content !== 'number') await writeAll(file, entry.content, entry.offset);
    }
    await file.truncate(end);
    await fill(placed.map(({ offset }) => offset));
    const directory: Buffer[] = [];
    for (const entry of placed) {
      const sum = await checkSum(file, entry);
      await writeAll(file, uint32(sum), entry.headerOffset + 14);
      directory.push(centralHeader(entry, sum), entry.nameBytes);
    }
    await writeAll(file, Buffer.concat([...directory, endRecord(placed.length, directoryBytes, end)]), end);
  } finally {
    await file.close();
  }
}

function place(entries: readonly NewEntry[]): { placed: PlacedEntry[]; end: number } {
  let end = 0;
  const placed = entries.map(({ name, content }) => {
    const nameBytes = Buffer.from(name);
    const size = typeof content === 'number' ? content : content.length;
    const headerOffset = end;
    const unaligned = headerOffset + LOCAL_BYTES + nameBytes.length + EXTRA_BYTES;
    const offset = Math.ceil(unaligned / ALIGNMENT) * ALIGNMENT;
    end = offset + size;
    return { name, content, nameBytes, size, headerOffset, offset };
  });
  return { placed, end };
}

/** The local header with name and padding. The CRC-32 follows later. */
function localHeader({ nameBytes, size, headerOffset, offset }: PlacedEntry): Buffer {
  const header = Buffer.alloc(offset - headerOffset, 'Z');
  header.fill(0, 0, LOCAL_BYTES);
  header.writeUInt32LE(0x04034b50, 0);
  writeFields(header, 4, 0, size, nameBytes.length);
  const extra = LOCAL_BYTES + nameBytes.length;
  header.writeUInt16LE(header.length - extra, 28);
  nameBytes.copy(header, LOCAL_BYTES);
  header.write('FB', extra);
  header.writeUInt16LE(header.length - extra - EXTRA_BYTES, extra + 2);
  return header;
}

function centralHeader({ nameBytes, size, headerOffset }: PlacedEntry, sum: number): Buffer {
  const header = Buffer.alloc(CENTRAL_BYTES);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(VERSION, 4);
  writeFields(header, 6, sum, size, nameBytes.length);
  header.writeUInt32LE(headerOffset, 42);
  return header;
}

/**
 * Writes the common part of local and central header: version, flags, method (stored: 0), time, date, CRC-32, sizes, length of the name.
 */
function writeFields(header: Buffer, at: number, sum: number, size: number, nameLength: number): void {
  header.writeUInt16LE(VERSION, at);
  header.writeUInt16LE(DATE, at + 8);
  header.writeUInt32LE(sum, at + 10);
  header.writeUInt32LE(size, at + 14);
  header.writeUInt32LE(size, at + 18);
  header.writeUInt16LE(nameLength, at + 22);
}

function endRecord(count: number, directoryBytes: number, directoryOffset: number): Buffer {
  const record = Buffer.alloc(END_BYTES);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(count, 8);
  record.writeUInt16LE(count, 10);
  record.writeUInt32LE(directoryBytes, 12);
  record.writeUInt32LE(directoryOffset, 16);
  return record;
}

async function checkSum(file: FileHandle, { size, offset }: PlacedEntry): Promise<number> {
  const slice = Buffer.allocUnsafe(Math.min(size, SUM_SLICE));
  let sum = 0;
  for (let done = 0; done < size; ) {
    const { bytesRead } = await file.read(slice, 0, Math.min(slice.length, size - done), offset + done);
    if (bytesRead === 0) throw new Error('The file became shorter while it was written');
    sum = crc32(slice.subarray(0, bytesRead), sum);
    done += bytesRead;
  }
  return sum;
}

/** Writes all bytes. One call may write fewer bytes than given, for example on a full disk. */
async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
