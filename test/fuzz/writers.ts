import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProtobufMessage, readFields } from '../../lib/onnx/proto/protobuf.ts';
import {
  layoutSafetensors,
  readSafetensorsHeader,
  type SafetensorsDtype,
  type TensorInfo,
  type TensorSpan,
  tensorBytes,
} from '../../lib/weights/safetensors.ts';
import { isTuple, PickleGlobal, readPickle } from '../../lib/weights/torch/pickle.ts';
import {
  PickleCall,
  PickleOrderedDict,
  PicklePersistent,
  type PickleValue,
  writePickle,
} from '../../lib/weights/torch/pickle-writer.ts';
import { readTorchFile } from '../../lib/weights/torch/pth.ts';
import { writeTorchFile } from '../../lib/weights/torch/pth-writer.ts';
import { readEntry, readZip } from '../../lib/weights/torch/zip.ts';
import { type NewEntry, writeStoredZip } from '../../lib/weights/torch/zip-writer.ts';
import type { Draw } from './mutate.ts';

/** A writer of files, and what it must give back: whatever it writes, the reader reads, bit for bit. */
export interface Writer {
  name: string;
  /** Writes what is drawn, and reads it. Rejects where that is not the same. */
  roundTrip(draw: Draw): Promise<void>;
}

const TORCH_DTYPES: SafetensorsDtype[] = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL'];
const DTYPES: SafetensorsDtype[] = [...TORCH_DTYPES, 'U16', 'U32', 'U64', 'F8_E4M3', 'F8_E5M2'];
const WORDS = [
  'a',
  'weight',
  '__proto__',
  'constructor',
  '0',
  '10',
  ' ',
  '"',
  '\\',
  '\n',
  '\0',
  'é',
  '日本',
  '😀',
  'x'.repeat(300),
];

/** The writers; files are made below `folder`. */
export function makeWriters(folder: string): Writer[] {
  const path = join(folder, 'written');
  return [
    { name: 'safetensors writer', roundTrip: (draw) => writeSafetensors(path, draw) },
    { name: 'pth writer', roundTrip: (draw) => writePth(path, draw) },
    { name: 'pickle writer', roundTrip: writeValue },
    { name: 'zip writer', roundTrip: (draw) => writeZip(path, draw) },
    { name: 'protobuf writer', roundTrip: writeMessage },
  ];
}

async function writeSafetensors(path: string, draw: Draw): Promise<void> {
  const tensors = drawTensors(draw, DTYPES, draw(20));
  const metadata = Object.fromEntries(drawNames(draw, draw(4)).map((name) => [name, drawName(draw)]));
  const { header, tensors: spans, totalBytes } = layoutSafetensors(tensors, metadata);
  const file = Buffer.alloc(totalBytes);
  header.copy(file);
  for (const { name, offset } of spans) bytesOf(tensors, name).copy(file, offset);
  await writeFile(path, file);
  const found = await readSafetensorsHeader(path);
  same(found.metadata, metadata);
  same(contents(found.tensors, file), contents(spans, file));
  same(contents(found.tensors, file), describe(tensors));
}

async function writePth(path: string, draw: Draw): Promise<void> {
  const tensors = drawTensors(draw, TORCH_DTYPES, 1 + draw(20));
  const names = drawNames(draw, tensors.length + draw(5));
  const named = tensors.map((tensor) => ({ ...tensor, stateDictNames: [] as string[] }));
  for (const [index, name] of names.entries()) named[index % named.length]!.stateDictNames.push(name);
  const options = draw(2) ? { epoch: draw(2 ** 31) * 2 ** draw(20) } : {};
  await rm(path, { force: true });
  await writeTorchFile(path, named, options, async (spans) => {
    const file = await readFile(path);
    for (const { name, offset } of spans) bytesOf(tensors, name).copy(file, offset);
    await writeFile(path, file);
  });
  const found = await readTorchFile(path);
  same(found.key, 'epoch' in options ? 'model_state_dict' : undefined);
  const expected = named.flatMap(({ stateDictNames, ...tensor }) =>
    stateDictNames.map((name) => ({ ...tensor, name })),
  );
  same(contents(found.tensors, await readFile(path)), describe(expected));
}

async function writeValue(draw: Draw): Promise<void> {
  const value = drawValue(draw, 4);
  const meaning = {
    checkGlobal: () => {},
    reduce: (callee: PickleGlobal, args: readonly unknown[]) =>
      `${callee}` === 'collections.OrderedDict' ? new Map() : { callee: `${callee}`, args },
    build: () => undefined,
    persistent: (id: unknown) => ({ id }),
  };
  same(plain(await readPickle(writePickle(value), meaning, { stack: 1e5, containers: 1e5 })), plain(value));
}

async function writeMessage(draw: Draw): Promise<void> {
  const message = new ProtobufMessage();
  const expected = Array.from({ length: draw(20) }, () => {
    const number = 1 + draw(2 ** draw(29));
    const value = BigInt.asUintN(64, BigInt(draw(2 ** 32)) << BigInt(draw(33)));
    const bytes = drawBytes(draw, draw(300));
    const isNumber = draw(2) === 1;
    if (isNumber) message.integer(number, value);
    else message.message(number, new ProtobufMessage().bytes(7, bytes));
    return isNumber ? [number, `${value}`] : [number, bytes.toString('hex')];
  });
  const written = Buffer.concat(message.pieces as Uint8Array[]);
  same(written.length, message.byteLength);
  const found = [...readFields(written)].map(({ number, value, bytes }) => {
    const [inner] = readFields(bytes);
    return [number, inner ? Buffer.from(inner.bytes).toString('hex') : `${value}`];
  });
  same(found, expected);
}

async function writeZip(path: string, draw: Draw): Promise<void> {
  const names = new Set(Array.from({ length: draw(30) }, () => `${draw(9)}/${'x'.repeat(draw(70))}é${draw(1000)}`));
  const written = [...names].map((name) => ({ name, bytes: drawBytes(draw, draw(300)), isGiven: draw(2) === 1 }));
  const entries: NewEntry[] = written.map(({ name, bytes, isGiven }) => ({
    name,
    content: isGiven ? bytes : bytes.length,
  }));
  await rm(path, { force: true });
  await writeStoredZip(path, entries, async (offsets) => {
    const file = await readFile(path);
    for (const [index, { bytes }] of written.entries()) bytes.copy(file, offsets[index]);
    await writeFile(path, file);
  });
  if (written.length === 0) return; // no archive to a reader: torch writes none
  const found = await readZip(await readFile(path));
  const read = await Promise.all(
    found.map(async (entry) => [entry.name, (await readEntry(entry, 1000)).toString('hex')]),
  );
  same(
    read,
    written.map(({ name, bytes }) => [name, bytes.toString('hex')]),
  );
}

interface DrawnTensor extends TensorInfo {
  bytes: Buffer;
}

function drawTensors(draw: Draw, dtypes: readonly SafetensorsDtype[], count: number): DrawnTensor[] {
  return drawNames(draw, count).map((name) => {
    const dtype = dtypes[draw(dtypes.length)]!;
    const shape = Array.from({ length: draw(5) }, () => draw(5));
    return { name, dtype, shape, bytes: drawBytes(draw, tensorBytes(dtype, shape)!) };
  });
}

/** At most `count`, each once. */
function drawNames(draw: Draw, count: number): string[] {
  return [...new Set(Array.from({ length: count }, () => drawName(draw)))];
}

function drawName(draw: Draw): string {
  return Array.from({ length: 1 + draw(3) }, () => WORDS[draw(WORDS.length)]!).join('.');
}

function drawBytes(draw: Draw, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => draw(256)));
}

function drawValue(draw: Draw, depth: number): PickleValue {
  const children = () => Array.from({ length: draw(4) }, () => drawValue(draw, depth - 1));
  const items = () => drawNames(draw, draw(4)).map((name) => [name, drawValue(draw, depth - 1)] as const);
  const global = new PickleGlobal('module', `name${draw(9)}`);
  switch (draw(depth > 0 ? 8 : 3)) {
    case 0:
      return drawName(draw);
    case 1:
      return draw(2) === 1;
    case 2:
      return (draw(2) ? 1 : -1) * Math.floor(draw(2 ** 32) * 2 ** (draw(53) - 32));
    case 3:
      return children();
    case 4:
      return new Map(items());
    case 5:
      return new PickleOrderedDict(items());
    case 6:
      return new PickleCall(global, children());
    default:
      return new PicklePersistent(['storage', global, ...children()]);
  }
}

/** Written and read values in one form. */
function plain(value: unknown): unknown {
  if (value instanceof PickleGlobal) return `${value}`;
  if (Array.isArray(value) || isTuple(value)) return Array.from(value as unknown[], plain);
  if (value instanceof Map) return { entries: [...value].map(([key, item]) => [key, plain(item)]) };
  if (value instanceof PicklePersistent || value instanceof PickleCall || (value && typeof value === 'object'))
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
  return value === 0 ? 0 : value; // -0 is 0 in a pickle
}

function bytesOf(tensors: readonly DrawnTensor[], name: string): Buffer {
  return tensors.find((tensor) => tensor.name === name)!.bytes;
}

function describe(tensors: readonly DrawnTensor[]): string[] {
  return tensors
    .map(({ name, dtype, shape, bytes }) => JSON.stringify([name, dtype, shape, bytes.toString('hex')]))
    .sort();
}

function contents(spans: readonly TensorSpan[], file: Buffer): string[] {
  return describe(
    spans.map(({ name, dtype, shape, offset, byteLength }) => {
      return { name, dtype, shape, bytes: file.subarray(offset, offset + byteLength) };
    }),
  );
}

function same(found: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`wrote ${right?.slice(0, 1000)} and read ${left?.slice(0, 1000)}`);
}
