import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { messageOf } from '../../base/errors.ts';
import { type ByteSource, fileSource } from '../../files/byte-source.ts';
import { type CentralRecord, LOCAL, ZipError } from '../../files/zip-format.ts';
import { readZipDirectory } from './zip-directory.ts';

const blockSize = 256 * 1024;

export type UnzipOptions = {
  signal?: AbortSignal | undefined;
  /** Called as files are written, with the unpacked bytes so far. */
  onBytes?: ((done: number) => void) | undefined;
};

type Sink = NodeJS.WritableStream | ((source: AsyncIterable<Buffer>) => Promise<void>);

/** A zip archive that is open for reading. Every failure names the archive. */
export class ZipFile {
  readonly path: string;
  readonly entries: readonly CentralRecord[];
  readonly #file: FileHandle;
  readonly #source: ByteSource;

  private constructor(path: string, file: FileHandle, source: ByteSource, entries: readonly CentralRecord[]) {
    this.path = path;
    this.#file = file;
    this.#source = source;
    this.entries = entries;
  }

  static async open(path: string): Promise<ZipFile> {
    const file = await open(path, 'r');
    try {
      const source = fileSource(file, (await file.stat()).size);
      return new ZipFile(path, file, source, await readZipDirectory(source));
    } catch (error) {
      await file.close();
      const reason = error instanceof ZipError ? `it ${error.message}` : messageOf(error);
      throw new Error(`Cannot unpack ${path}: ${reason}`, { cause: error });
    }
  }

  /** The text of a small file of the archive, or undefined where there is none. */
  async readText(name: string): Promise<string | undefined> {
    const entry = this.entries.find((candidate) => candidate.name === name);
    if (entry === undefined || entry.size > 2 ** 20) return undefined;
    const chunks: Buffer[] = [];
    await this.#pipe(entry, () => async (source) => {
      for await (const chunk of source) chunks.push(chunk);
    });
    return Buffer.concat(chunks).toString('utf8');
  }

  /**
   * Writes files of the archive into `folder` under the names that `target` gives them; those without one are left out.
   * Sizes and checksums are checked as they stream; nothing is ever held whole in memory.
   */
  async extract(
    folder: string,
    target: (name: string) => string | undefined,
    options: UnzipOptions = {},
  ): Promise<void> {
    const { signal, onBytes } = options;
    const queue = this.entries.flatMap((entry) => {
      const name = target(entry.name);
      return name === undefined ? [] : [{ entry, path: join(folder, name) }];
    });
    const folders = new Set(queue.map(({ path }) => dirname(path)));
    for (const path of folders) await mkdir(path, { recursive: true });
    let done = 0;
    const count = (bytes: number) => {
      done += bytes;
      onBytes?.(done);
    };
    const writeQueued = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        await this.#pipe(next.entry, () => createWriteStream(next.path, { flags: 'wx' }), { signal, onBytes: count });
      }
    };
    const stopOthers = (error: unknown) => {
      queue.length = 0;
      throw error;
    };
    // All are waited for, so that nothing is written any more when this fails.
    const endings = await Promise.allSettled(Array.from({ length: 4 }, () => writeQueued().catch(stopOthers)));
    const failure = endings.find((ending) => ending.status === 'rejected');
    if (failure === undefined) return;
    signal?.throwIfAborted();
    throw new Error(`Cannot unpack ${this.path}: ${messageOf(failure.reason)}`, { cause: failure.reason });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Streams the unpacked and checked bytes of a file into `sink`. */
  async #pipe(entry: CentralRecord, openSink: () => Sink, { signal, onBytes }: UnzipOptions = {}): Promise<void> {
    const header = await this.#source.read(entry.localOffset, 30);
    if (header.readUInt32LE(0) !== LOCAL) throw new Error(`"${entry.name}" is not where the directory says`);
    const start = entry.localOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    const packed = Readable.from(this.#read(start, entry.packedSize));
    const check = (chunks: AsyncIterable<Buffer>) => checked(entry, chunks, onBytes);
    const options = signal ? { signal } : {};
    if (entry.method === 'deflated')
      await pipeline(packed, createInflateRaw({ chunkSize: blockSize }), check, openSink(), options);
    else await pipeline(packed, check, openSink(), options);
  }

  async *#read(start: number, length: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < length; at += blockSize) {
      yield await this.#source.read(start + at, Math.min(blockSize, length - at));
    }
  }
}

/** Hands on the bytes of a file. @throws {Error} when size or checksum are not as the directory states. */
async function* checked(entry: CentralRecord, chunks: AsyncIterable<Buffer>, onBytes?: (count: number) => void) {
  let size = 0;
  let checksum = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > entry.size) throw new Error(`"${entry.name}" is larger than the ${entry.size} bytes that it states`);
    checksum = crc32(chunk, checksum);
    onBytes?.(chunk.length);
    yield chunk;
  }
  if (size !== entry.size) throw new Error(`"${entry.name}" has ${size} bytes, not ${entry.size}`);
  if (checksum !== entry.crc32) throw new Error(`"${entry.name}" is damaged (CRC-32)`);
}
