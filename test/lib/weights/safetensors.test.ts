import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { layoutSafetensors, readSafetensorsHeader, type TensorInfo } from '../../../lib/weights/safetensors.ts';
import { entry, file } from '../../hostile/safetensors.ts';

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

  it.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'shorter than 8 bytes'],
    ['a header longer than the file', file('{}', 0, 1000n), 'cut short'],
    ['a header of 2^64-1 bytes', file('{}', 0, 2n ** 64n - 1n), 'claims 18446744073709551615 bytes'],
    ['an empty header', file('', 0), 'does not begin with "{"'],
    ['a header with a space in front', file(' {}', 0), 'does not begin with "{"'],
  ])('refuses what it would not be given but in a checkpoint: %s', async (_, content, rule) => {
    const failure = read(content);
    await expect(failure).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
    await expect(failure).rejects.toThrow(rule);
    await expect(failure).rejects.toThrow(dir);
  });

  it('takes the header of thousands of tensors', async () => {
    const infos = Array.from({ length: 8000 }, (_, i) => ({
      name: `backbone.blocks.${i}.weight`,
      dtype: 'F32' as const,
      shape: [0],
    }));
    const { header } = layoutSafetensors(infos);
    expect((await read(header)).tensors).toHaveLength(8000);
    expect(() => layoutSafetensors([...infos, { ...infos[0]!, name: 'a'.repeat(1e6) }])).toThrow(
      'at most 1048576 bytes',
    );
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
