import { truncate, writeFile } from 'node:fs/promises';
import { DetectorError, messageOf } from '../base/errors.ts';
import { runInSlices } from '../base/time-slices.ts';
import { withWeightsFile } from './weights-file.ts';

/** Bytes per element, in the alignment order of the reference library. The writer lays out tensors from the last type to the first. */
const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;
const DTYPES = Object.keys(DTYPE_BYTES);

/**
 * The largest header. The format allows 100 MB, which would block `JSON.parse` for seconds. Within these limits it takes less than 50 ms. A
 * tensor needs four keys and about 130 bytes. The largest DINOv3 has 700 tensors, and 2,100 with its optimizer.
 */
const MAX_HEADER_BYTES = 1 << 20;
const MAX_KEYS = 50_000;
const KEYS_PER_SLICE = 100;
/** The depth of the header, a tensor in it, and the tensor's shape. */
const MAX_DEPTH = 3;

export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

export interface TensorInfo {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
}

export interface TensorSpan extends TensorInfo {
  /** The position of the first byte, from the start of the file. */
  offset: number;
  byteLength: number;
  /** The one row of the tensor's first dimension that it is; `shape` is the row's. Default: the whole tensor. */
  row?: number;
}

export interface SafetensorsHeader {
  /** The tensors in the order of their bytes in the file. */
  tensors: TensorSpan[];
  metadata: Record<string, string>;
}

/**
 * Reads and checks the header of a safetensors file without its tensor bytes. The tensors can then be read by offset and length without
 * further checks.
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND`, or `WEIGHTS_INVALID` naming the file, the tensor and the broken rule
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  const { text, dataStart, dataBytes } = await readHeaderText(path);
  const invalid = (rule: string) => invalidFile(path, rule);
  if (!text.startsWith('{')) throw invalid('its header does not begin with "{"');
  await runInSlices(checkKeys(text, invalid));
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw invalid(`its header is not JSON (${messageOf(error).slice(0, 120)})`);
  }
  const metadata = checkMetadata(header.__metadata__, invalid);
  const tensors = await runInSlices(checkEntries(header, dataBytes, invalid));
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = 0;
  for (const { name, offset, byteLength } of tensors) {
    if (offset < end) throw invalid(`tensor "${name}" begins at byte ${offset}, inside the tensor before it`);
    if (offset > end) throw invalid(`${offset - end} bytes before tensor "${name}" belong to no tensor`);
    end = offset + byteLength;
  }
  if (end !== dataBytes) throw invalid(`${dataBytes - end} bytes after the last tensor belong to no tensor`);
  return { tensors: tensors.map((tensor) => ({ ...tensor, offset: tensor.offset + dataStart })), metadata };
}

/**
 * Computes the place of each tensor in a new file. Tensors are sorted by descending element size, then by name, like in the reference
 * library. So every tensor is aligned to its element size. Spaces pad the header to a multiple of 8 bytes.
 * @throws {TypeError} for two tensors with the same name, or a tensor named `__metadata__`
 * @throws {RangeError} for a shape out of range, or more tensors than this library can read
 */
export function layoutSafetensors(
  infos: readonly TensorInfo[],
  metadata: Record<string, string> = {},
): { header: Buffer; tensors: TensorSpan[]; totalBytes: number } {
  const sorted = [...infos].sort(
    (a, b) =>
      DTYPES.indexOf(b.dtype) - DTYPES.indexOf(a.dtype) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  // A Map, because an object would move names such as "0" to its front.
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set('__metadata__', metadata);
  let end = 0;
  const relative = sorted.map(({ name, dtype, shape }) => {
    if (name === '__metadata__' || entries.has(name))
      throw new TypeError(`Expected unique tensor names, found "${name}"`);
    const byteLength = tensorBytes(dtype, shape);
    if (byteLength === undefined) throw new RangeError(`Expected a shape of integers >= 0 for tensor "${name}"`);
    const span = { name, dtype, shape, offset: end, byteLength };
    end += byteLength;
    entries.set(name, { dtype, shape, data_offsets: [span.offset, end] });
    return span;
  });
  const json = `{${[...entries].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const jsonBytes = Buffer.byteLength(json);
  if (jsonBytes > MAX_HEADER_BYTES)
    throw new RangeError(`Expected tensors whose header has at most ${MAX_HEADER_BYTES} bytes, found ${jsonBytes}`);
  const header = Buffer.alloc(8 + Math.ceil(jsonBytes / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.write(json, 8);
  const tensors = relative.map((span) => ({ ...span, offset: span.offset + header.length }));
  return { header, tensors, totalBytes: header.length + end };
}

/**
 * Writes a new file of these tensors. `fill` writes the bytes at the spans that it gets.
 * @throws {TypeError|RangeError} like `layoutSafetensors`
 */
export async function writeSafetensors(
  path: string,
  infos: readonly TensorInfo[],
  metadata: Record<string, string>,
  fill: (spans: TensorSpan[]) => Promise<void>,
): Promise<void> {
  const { header, tensors, totalBytes } = layoutSafetensors(infos, metadata);
  await writeFile(path, header);
  await truncate(path, totalBytes);
  await fill(tensors);
}

async function readHeaderText(path: string): Promise<{ text: string; dataStart: number; dataBytes: number }> {
  return await withWeightsFile(path, async (source) => {
    if (source.size < 8) throw invalidFile(path, 'it is shorter than 8 bytes');
    const headerBytes = (await source.read(0, 8)).readBigUInt64LE();
    if (headerBytes > BigInt(MAX_HEADER_BYTES))
      throw invalidFile(
        path,
        `its header claims ${headerBytes} bytes, above the limit of ${MAX_HEADER_BYTES} (the format allows 100 MB; a DINOv3 model needs less than 100 kB)`,
      );
    const dataStart = 8 + Number(headerBytes);
    if (dataStart > source.size)
      throw invalidFile(
        path,
        `its header claims ${headerBytes} bytes, but the file has ${source.size}: it is cut short`,
      );
    const text = decodeUtf8(await source.read(8, Number(headerBytes)), path);
    return { text, dataStart, dataBytes: source.size - dataStart };
  });
}

function decodeUtf8(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalidFile(path, 'its header is not UTF-8');
  }
}

type Invalid = (rule: string) => DetectorError;

function checkMetadata(value: unknown, invalid: Invalid): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) throw invalid('its __metadata__ is not an object');
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw invalid(`__metadata__ ${JSON.stringify(key)} is not a string`);
  }
  return value as Record<string, string>;
}

function* checkEntries(
  header: Record<string, unknown>,
  dataBytes: number,
  invalid: Invalid,
): Generator<void, TensorSpan[]> {
  const tensors: TensorSpan[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name !== '__metadata__') tensors.push(checkEntry(name, entry, dataBytes, invalid));
    yield;
  }
  return tensors;
}

function checkEntry(name: string, entry: unknown, dataBytes: number, invalid: Invalid): TensorSpan {
  const wrong = (rule: string) => invalid(`tensor ${JSON.stringify(name.slice(0, 200))} ${rule}`);
  if (!isObject(entry)) throw wrong('has no object in the header');
  const { dtype, shape, data_offsets: offsets, ...unknown } = entry;
  if (Object.keys(unknown).length > 0) throw wrong(`has an unknown key ${JSON.stringify(Object.keys(unknown)[0])}`);
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw wrong(`has dtype ${JSON.stringify(dtype)}, expected one of ${DTYPES.join(', ')}`);
  }
  const byteLength = tensorBytes(dtype as SafetensorsDtype, shape);
  if (byteLength === undefined)
    throw wrong(`has shape ${JSON.stringify(shape)}, expected integers >= 0 with a safe product`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw wrong('has data_offsets that are not two integers >= 0');
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw wrong(`begins at ${begin}, after its end ${end}`);
  if (end > dataBytes) throw wrong(`ends at byte ${end} of ${dataBytes}: the file is cut short`);
  if (end - begin !== byteLength) throw wrong(`holds ${end - begin} bytes, its shape and dtype need ${byteLength}`);
  return { name, dtype: dtype as SafetensorsDtype, shape: shape as number[], offset: begin, byteLength };
}

/** Element count times element size. The result is undefined for an invalid shape or an inexact product. */
export function tensorBytes(dtype: SafetensorsDtype, shape: unknown): number | undefined {
  if (!Array.isArray(shape) || !shape.every(isCount)) return undefined;
  // The reference library multiplies in this order: an overflow counts even if a later dimension is 0.
  return [DTYPE_BYTES[dtype], ...shape].reduce<number | undefined>((bytes, size) => {
    const product = (bytes ?? Number.NaN) * size;
    return Number.isSafeInteger(product) ? product : undefined;
  }, 1);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** Checks keys before `JSON.parse`, which accepts duplicate keys, any depth and any number of keys. */
function* checkKeys(json: string, invalid: Invalid): Generator<void, void> {
  const open: Set<string>[] = [];
  const tokens = /"((?:[^"\\]|\\.)*)"(\s*:)?|[{}[\]]|[^"{}[\]]+/sy;
  let count = 0;
  for (let token = tokens.exec(json); token !== null; token = tokens.exec(json)) {
    const [text, escaped, colon] = token;
    if (text === '{' || text === '[') open.push(new Set());
    else if (text === '}' || text === ']') open.pop();
    else if (colon !== undefined) {
      const key = unescapeKey(escaped!);
      if (open.at(-1)?.has(key)) throw invalid(`its header has the key ${JSON.stringify(key.slice(0, 200))} twice`);
      open.at(-1)?.add(key);
      if (++count > MAX_KEYS) throw invalid(`its header has more than ${MAX_KEYS} keys, which no model needs`);
      if (count % KEYS_PER_SLICE === 0) yield;
    }
    if (open.length > MAX_DEPTH) throw invalid('its header is nested too deeply');
  }
}

/** The key that JSON text encodes. Text that is not JSON is rejected later. */
function unescapeKey(text: string): string {
  if (!text.includes('\\')) return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
}

function invalidFile(path: string, rule: string): DetectorError {
  return new DetectorError(
    'WEIGHTS_INVALID',
    `${path} is not a valid safetensors file: ${rule}. Download or write the file again.`,
  );
}
