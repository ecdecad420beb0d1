import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { layoutSafetensors, readSafetensorsHeader, type TensorInfo } from '../../../lib/weights/safetensors.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'safetensors-'));
});

let count = 0;
async function read(content: Uint8Array) {
  const path = join(dir, `${count++}.safetensors`);
  await writeFile(path, content);
  return readSafetensorsHeader(path);
}

/** A file of this header text and so many bytes of data. */
function file(header: string | Buffer, dataBytes: number, claimed?: bigint): Buffer {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

const entry = (begin: number, end: number, more: object = {}) => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
  ...more,
});

/** What safetensors 0.6 (Python, `safetensors.numpy.save_file`) writes for the tensors below. */
const REFERENCE_HEADER =
  '{"__metadata__":{"k":"v"},"0":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"d":{"dtype":"F64","shape":[2],"data_offsets":[8,24]},' +
  '"b":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]},"z":{"dtype":"F32","shape":[0,4],"data_offsets":[48,48]},' +
  '"i":{"dtype":"I32","shape":[2],"data_offsets":[48,56]},"a":{"dtype":"F16","shape":[3],"data_offsets":[56,62]},' +
  '"u":{"dtype":"U8","shape":[3],"data_offsets":[62,65]}}      ';
const TENSORS: TensorInfo[] = [
  { name: 'b', dtype: 'F32', shape: [2, 3] },
  { name: 'a', dtype: 'F16', shape: [3] },
  { name: '0', dtype: 'I64', shape: [] },
  { name: 'z', dtype: 'F32', shape: [0, 4] },
  { name: 'u', dtype: 'U8', shape: [3] },
  { name: 'd', dtype: 'F64', shape: [2] },
  { name: 'i', dtype: 'I32', shape: [2] },
];

describe('layoutSafetensors', () => {
  it('writes the header that the reference library writes', () => {
    const { header, tensors, totalBytes } = layoutSafetensors(TENSORS, { k: 'v' });
    expect(header.subarray(8).toString()).toBe(REFERENCE_HEADER);
    expect(header.readBigUInt64LE()).toBe(BigInt(REFERENCE_HEADER.length));
    expect(header.length % 8).toBe(0);
    expect(totalBytes).toBe(header.length + 65);
    expect(tensors.map(({ name, offset, byteLength }) => [name, offset - header.length, byteLength])).toEqual([
      ['0', 0, 8],
      ['d', 8, 16],
      ['b', 24, 24],
      ['z', 48, 0],
      ['i', 48, 8],
      ['a', 56, 6],
      ['u', 62, 3],
    ]);
  });

  it('is read back as it was laid out', async () => {
    const { header, tensors, totalBytes } = layoutSafetensors(TENSORS, { k: 'v' });
    const content = Buffer.concat([header, Buffer.alloc(totalBytes - header.length)]);
    expect(await read(content)).toEqual({ tensors, metadata: { k: 'v' } });
  });

  it('lays out nothing', async () => {
    const { header, totalBytes } = layoutSafetensors([]);
    expect(header.subarray(8).toString()).toBe('{}      ');
    expect(totalBytes).toBe(16);
    expect(await read(header)).toEqual({ tensors: [], metadata: {} });
  });

  it('refuses names and shapes that cannot be written', () => {
    const tensor: TensorInfo = { name: 'a', dtype: 'U8', shape: [1] };
    expect(() => layoutSafetensors([tensor, tensor])).toThrow('unique tensor names, found "a"');
    expect(() => layoutSafetensors([{ ...tensor, name: '__metadata__' }])).toThrow(TypeError);
    expect(() => layoutSafetensors([{ ...tensor, shape: [-1] }])).toThrow(RangeError);
    expect(() => layoutSafetensors([{ ...tensor, shape: [2 ** 40, 2 ** 40] }])).toThrow(RangeError);
  });
});

describe('readSafetensorsHeader', () => {
  it('gives absolute offsets in the order of the bytes', async () => {
    const header = JSON.stringify({ b: entry(8, 16), a: entry(0, 8) });
    const { tensors } = await read(file(header, 16));
    expect(tensors.map(({ name, offset }) => [name, offset])).toEqual([
      ['a', 8 + header.length],
      ['b', 16 + header.length],
    ]);
  });

  const json = (value: unknown) => JSON.stringify(value);
  it.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'shorter than 8 bytes'],
    ['a header longer than the file', file('{}', 0, 1000n), 'cut short'],
    [
      'a header above the cap',
      file('{}', 0, 2n ** 20n + 1n),
      'claims 1048577 bytes, above the limit of 1048576 here (of 100 MB in the format',
    ],
    ['a header of 2^64-1 bytes', file('{}', 0, 2n ** 64n - 1n), 'claims 18446744073709551615 bytes'],
    ['an empty header', file('', 0), 'does not begin with "{"'],
    ['a header with a space in front', file(' {}', 0), 'does not begin with "{"'],
    ['an array', file('[]', 0), 'does not begin with "{"'],
    ['broken JSON', file('{"a":', 0), 'not JSON'],
    ['JSON with a tail', file('{}x', 0), 'not JSON'],
    ['bad UTF-8', file(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 0), 'not UTF-8'],
    ['a tensor twice', file(`{"a":${json(entry(0, 4))},"a":${json(entry(0, 4))}}`, 4), 'the key "a" twice'],
    [
      'a tensor twice, once escaped',
      file(`{"a":${json(entry(0, 4))},"\\u0061":${json(entry(0, 4))}}`, 4),
      'the key "a" twice',
    ],
    [
      'a key of a tensor twice',
      file('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
      'the key "dtype" twice',
    ],
    ['an unknown key', file(json({ a: entry(0, 4, { stride: [1] }) }), 4), 'tensor "a" has an unknown key "stride"'],
    ['an unknown dtype', file(json({ a: entry(0, 4, { dtype: 'F7' }) }), 4), 'tensor "a" has dtype "F7"'],
    ['an inherited dtype', file(json({ a: entry(0, 4, { dtype: 'constructor' }) }), 4), 'has dtype "constructor"'],
    ['a negative size', file(json({ a: entry(0, 4, { shape: [-1] }) }), 4), 'has shape [-1]'],
    ['a fraction as size', file(json({ a: entry(0, 4, { shape: [1.5] }) }), 4), 'has shape [1.5]'],
    ['a product beyond 2^53', file(json({ a: entry(0, 4, { shape: [2 ** 30, 2 ** 30] }) }), 4), 'safe product'],
    ['no shape', file(json({ a: { dtype: 'F32', data_offsets: [0, 4] } }), 4), 'has shape'],
    ['three offsets', file(json({ a: entry(0, 4, { data_offsets: [0, 4, 8] }) }), 4), 'two integers'],
    ['offsets in reverse', file(json({ a: entry(0, 4, { data_offsets: [4, 0] }) }), 4), 'begins at 4, after its end 0'],
    [
      'too few bytes for the shape',
      file(json({ a: entry(0, 4, { shape: [2] }) }), 4),
      'holds 4 bytes, its shape and dtype need 8',
    ],
    ['data cut short', file(json({ a: entry(0, 8) }), 7), 'ends at byte 8 of 7'],
    ['a tail', file(json({ a: entry(0, 8) }), 9), '1 bytes after the last tensor'],
    ['a hole', file(json({ a: entry(0, 4), b: entry(8, 12) }), 12), '4 bytes before tensor "b"'],
    ['an overlap', file(json({ a: entry(0, 8), b: entry(4, 12) }), 12), 'tensor "b" begins at byte 4, inside'],
    ['the same bytes twice', file(json({ a: entry(0, 8), b: entry(0, 8) }), 8), 'inside the tensor before it'],
    ['a number as tensor', file('{"a":1}', 0), 'tensor "a" has no object'],
    ['metadata that is no object', file('{"__metadata__":[]}', 0), '__metadata__ is not an object'],
    ['metadata that is no text', file('{"__metadata__":{"a":1}}', 0), '__metadata__ "a" is not a string'],
  ])('refuses %s', async (_, content, rule) => {
    const failure = read(content);
    await expect(failure).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
    await expect(failure).rejects.toThrow(rule);
    await expect(failure).rejects.toThrow(dir);
  });

  it('takes a tensor named __proto__ for what it is', async () => {
    const { tensors } = await read(file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1));
    expect(tensors.map(({ name }) => name)).toEqual(['__proto__']);
  });

  it('names a file that is missing, and a directory', async () => {
    await expect(readSafetensorsHeader(join(dir, 'none'))).rejects.toMatchObject({ code: 'WEIGHTS_NOT_FOUND' });
    await expect(readSafetensorsHeader(dir)).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
  });
});
