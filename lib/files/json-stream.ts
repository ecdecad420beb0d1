import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { markedEncoding } from './text-file.ts';

/** A value of a JSON file: an element of the array at `key`, or, without `index`, the value of `key` itself. */
export interface JsonItem {
  /** Of the root object; empty where the root is an array. */
  key: string;
  /** Position in the array, from 0. */
  index?: number;
  value: unknown;
}

export interface JsonStreamOptions {
  /** The longest single item in bytes; default 16 MiB. */
  maxItemBytes?: number;
  /** What to do about a longer one, such as ". Divide it". */
  remedy?: string;
  /** Keys of the root object whose values are passed over, however long. */
  ignore?: readonly string[];
  signal?: AbortSignal | undefined;
}

const MAX_ITEM_BYTES = 16 * 1024 ** 2;
/** Polygons of COCO are five levels deep, results of Label Studio about ten. */
const MAX_DEPTH = 64;
const CHUNK_BYTES = 64 * 1024;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * The items of a JSON file of any size, in their order: of a root object the elements of its arrays and its other values, of a root
 * array its elements. Nothing but the item at hand is held in memory, and the event loop gets its turn after every 64 KiB.
 *
 * Throws a plain `Error` that says what is wrong and where (in bytes), without naming the file.
 */
export async function* readJsonItems(path: string, options: JsonStreamOptions = {}): AsyncGenerator<JsonItem> {
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error('it does not exist', { cause: error }) : error;
  });
  if (!stats.isFile()) throw new Error(stats.isDirectory() ? 'it is a directory' : 'it is not a regular file');
  if (stats.size === 0) throw new Error('it is empty (0 bytes)');
  const scanner = new JsonScanner(options);
  for await (const chunk of utf8Chunks(path)) {
    options.signal?.throwIfAborted();
    yield* scanner.scan(chunk);
  }
  scanner.end();
}

async function* utf8Chunks(path: string): AsyncGenerator<Buffer> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let first = true;
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    if (first) {
      const encoding = markedEncoding(chunk);
      if (encoding?.startsWith('utf-16')) decoder = new TextDecoder(encoding, { fatal: true });
      else if (encoding === 'utf-8') {
        first = false;
        yield chunk.subarray(3);
        continue;
      }
      first = false;
    }
    yield decoder ? Buffer.from(decoder.decode(chunk, { stream: true })) : chunk;
  }
}

/**
 * Finds where items begin and end, and leaves what is in them to `JSON.parse`. Level 0 is outside of the root, 1 in the root, 2 in an
 * array of a root object.
 */
class JsonScanner {
  readonly #maxItemBytes: number;
  readonly #remedy: string;
  readonly #ignore: ReadonlySet<string>;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #rootIsArray = false;
  #ended = false;
  /** Of the root object; the key whose value is read, undefined while a key is. */
  #key: string | undefined;
  /** Position in the array that is read item by item, or -1. */
  #index = -1;
  /** Bytes of the item (or key) at hand from earlier chunks. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Where in the chunk the item at hand begins, or -1. */
  #start = -1;
  #offset = 0;

  constructor({ maxItemBytes = MAX_ITEM_BYTES, remedy = '', ignore = [] }: JsonStreamOptions) {
    this.#maxItemBytes = maxItemBytes;
    this.#remedy = remedy;
    this.#ignore = new Set(ignore);
  }

  *scan(chunk: Buffer): Generator<JsonItem> {
    if (this.#start >= 0) this.#start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (this.#inString) {
        at = this.#skipString(chunk, at);
        continue;
      }
      const byte = chunk[at]!;
      if (byte <= 0x20) continue;
      if (this.#ended) throw this.#error(at, 'something follows its end');
      switch (byte) {
        case QUOTE:
          this.#begin(at);
          this.#inString = true;
          break;
        case OPEN_ARRAY:
        case OPEN_OBJECT:
          this.#open(byte, at);
          break;
        case CLOSE_ARRAY:
        case CLOSE_OBJECT:
          yield* this.#close(chunk, at);
          break;
        case COMMA:
          if (this.#depth === this.#itemDepth) yield* this.#finish(chunk, at);
          break;
        case COLON:
          if (this.#depth === 1 && !this.#rootIsArray && this.#key === undefined) this.#readKey(chunk, at);
          break;
        default:
          this.#begin(at);
      }
    }
    this.#keep(chunk);
    this.#offset += chunk.length;
  }

  end(): void {
    if (!this.#ended) throw new Error(`it ends too early, after ${this.#offset} bytes. Is it complete?`);
  }

  /** Where an item ends at a comma. */
  get #itemDepth(): number {
    return this.#rootIsArray || this.#index < 0 ? 1 : 2;
  }

  /** The position of the string's last byte in the chunk. */
  #skipString(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#escaped) {
      this.#escaped = false;
      at++;
    }
    for (;;) {
      const quote = chunk.indexOf(QUOTE, at);
      const end = quote < 0 ? chunk.length : quote;
      let backslashes = 0;
      while (end - backslashes > at && chunk[end - backslashes - 1] === BACKSLASH) backslashes++;
      if (quote < 0) {
        this.#escaped = backslashes % 2 === 1;
        return chunk.length;
      }
      if (backslashes % 2 === 0) {
        this.#inString = false;
        return quote;
      }
      at = quote + 1;
    }
  }

  #begin(at: number): void {
    if (this.#depth === 0) throw this.#error(at, 'expected { or [');
    if (this.#start < 0 && this.#partBytes === 0) this.#start = at;
  }

  #open(byte: number, at: number): void {
    if (this.#depth === 0) this.#rootIsArray = byte === OPEN_ARRAY;
    else if (this.#depth === 1 && !this.#rootIsArray && byte === OPEN_ARRAY && this.#startsValue()) this.#index = 0;
    else this.#begin(at);
    if (++this.#depth > MAX_DEPTH) throw this.#error(at, `it is nested more than ${MAX_DEPTH} levels deep`);
    if (this.#rootIsArray && this.#depth === 1) this.#index = 0;
  }

  #startsValue(): boolean {
    return this.#key !== undefined && this.#start < 0 && this.#partBytes === 0;
  }

  *#close(chunk: Buffer, at: number): Generator<JsonItem> {
    if (this.#depth === 0) throw this.#error(at, 'expected { or [');
    const ends = this.#depth === this.#itemDepth;
    // What lies deeper is left to JSON.parse.
    const expected = this.#rootIsArray || this.#index >= 0 ? CLOSE_ARRAY : CLOSE_OBJECT;
    if (ends && chunk[at] !== expected) throw this.#error(at, `expected ${String.fromCharCode(expected!)}`);
    if (ends) yield* this.#finish(chunk, at);
    this.#depth--;
    if (ends && this.#depth === 1) {
      this.#index = -1; // the array of a key ended; the comma after it has nothing to finish
      this.#key = undefined;
    }
    if (this.#depth === 0) this.#ended = true;
  }

  /** Gives the item that ends before `at`, where there is one. */
  *#finish(chunk: Buffer, at: number): Generator<JsonItem> {
    const bytes = this.#take(chunk, at);
    const key = this.#rootIsArray ? '' : this.#key;
    if (bytes.length === 0 || key === undefined) {
      if (bytes.length > 0) throw this.#error(at, 'expected a name and a colon');
      return;
    }
    const index = this.#index;
    if (index >= 0) this.#index++;
    else this.#key = undefined;
    if (this.#ignore.has(key)) return;
    const value = this.#parse(bytes, at, index < 0 ? key : `${key}[${index}]`);
    yield index < 0 ? { key, value } : { key, index, value };
  }

  #readKey(chunk: Buffer, at: number): void {
    const key = this.#parse(this.#take(chunk, at), at, 'a name');
    if (typeof key !== 'string') throw this.#error(at, 'expected a name in quotes');
    this.#key = key;
  }

  #take(chunk: Buffer, at: number): Buffer {
    const rest = this.#start < 0 ? chunk.subarray(0, 0) : chunk.subarray(this.#start, at);
    const bytes = this.#parts.length === 0 ? rest : Buffer.concat([...this.#parts, rest]);
    this.#parts = [];
    this.#partBytes = 0;
    this.#start = -1;
    return bytes;
  }

  /** What of the item lies in this chunk is put by for the next one. */
  #keep(chunk: Buffer): void {
    if (this.#start < 0) return;
    const part = chunk.subarray(this.#start);
    if (this.#key !== undefined && this.#ignore.has(this.#key)) {
      this.#partBytes = 1; // it goes on, and is not wanted
      this.#parts = [part.subarray(0, 1)];
      return;
    }
    this.#parts.push(Buffer.from(part));
    this.#partBytes += part.length;
    if (this.#partBytes <= this.#maxItemBytes) return;
    const where = this.#index < 0 ? `"${this.#key}"` : `"${this.#key ?? ''}"[${this.#index}]`;
    throw new Error(`its item ${where} has more than the ${this.#maxItemBytes} bytes allowed${this.#remedy}`);
  }

  #parse(bytes: Buffer, at: number, what: string): unknown {
    const text = bytes.toString('utf8');
    try {
      return JSON.parse(text);
    } catch {
      try {
        return JSON.parse(withoutPythonNumbers(text));
      } catch (error) {
        const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
        throw this.#error(
          at,
          `${what} is no JSON: ${(error as Error).message.split('\n')[0]!.slice(0, 100)} in ${shown}`,
        );
      }
    }
  }

  #error(at: number, reason: string): Error {
    return new Error(`at byte ${this.#offset + at}, ${reason}`);
  }
}

/** Python writes numbers that are none as they are; they become null, outside of strings. */
function withoutPythonNumbers(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) => (token[0] === '"' ? token : 'null'));
}
