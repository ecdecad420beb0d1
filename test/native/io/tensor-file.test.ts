import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import type { SafetensorsDtype, TensorSpan } from '../../../lib/weights/safetensors.ts';
import { temporaryFolder } from '../../support/voc.ts';
import { loadTestAddon, type NamedTensor, pattern, tensor } from '../support.ts';

const addon = await loadTestAddon();
const span = (name: string, dtype: string, shape: number[], offset: number, byteLength: number): TensorSpan => ({
  name,
  dtype: dtype as SafetensorsDtype,
  shape,
  offset,
  byteLength,
});

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), 'tensors');
  await writeFile(path, bytes);
  return path;
}

const values = (tensors: NamedTensor[]) => tensors.map(({ tensor }) => [...tensor.data]);
const zeros = (name: string, shape: number[]): NamedTensor => ({ name, tensor: pattern(name, shape, 0) });

describe('tensor file', () => {
  it('reads what it wrote, each tensor in its place', async () => {
    const path = await fileOf(new Uint8Array(60).fill(255));
    const a = { name: 'a', tensor: pattern('a', [2, 3]) };
    const b = { name: 'b', tensor: pattern('b', [4]) };
    const spans = [span('b', 'F32', [4], 40, 16), span('a', 'F32', [2, 3], 8, 24)];
    addon.writeTensors(path, spans, [a, b]);
    const bytes = await readFile(path);
    expect(bytes.length).toBe(60);
    expect(bytes.subarray(8, 32)).toEqual(Buffer.from(a.tensor.data.buffer));
    expect(bytes.subarray(40, 56)).toEqual(Buffer.from(b.tensor.data.buffer));
    const gaps = [...bytes.subarray(0, 8), ...bytes.subarray(32, 40), ...bytes.subarray(56)];
    expect(new Set(gaps)).toEqual(new Set([255]));
    expect(addon.readTensors(path, spans, [zeros('a', [2, 3]), zeros('b', [4])])).toEqual([a, b]);
  });

  it('leaves tensors that no span names as they are', async () => {
    const path = await fileOf(new Uint8Array(Float32Array.of(7).buffer));
    const tensors = [
      { name: 'a', tensor: tensor([1], [1]) },
      { name: 'b', tensor: tensor([2], [1]) },
    ];
    expect(values(addon.readTensors(path, [span('b', 'F32', [1], 0, 4)], tensors))).toEqual([[1], [7]]);
  });

  it.each<[string, ArrayBufferView]>([
    ['F64', Float64Array.of(1.5, -2)],
    ['F16', Uint16Array.of(0x3e00, 0xc000)],
    ['BF16', Uint16Array.of(0x3fc0, 0xc000)],
  ])('converts %s when reading, and when writing', async (dtype, data) => {
    const bytes = Buffer.from(data.buffer);
    const path = await fileOf(bytes);
    const spans = [span('a', dtype, [2], 0, bytes.length)];
    expect(values(addon.readTensors(path, spans, [zeros('a', [2])]))).toEqual([[1.5, -2]]);
    const copy = await fileOf(new Uint8Array(bytes.length));
    addon.writeTensors(copy, spans, [{ name: 'a', tensor: tensor([1.5, -2], [2]) }]);
    expect(await readFile(copy)).toEqual(bytes);
  });

  it('reads a scalar', async () => {
    const path = await fileOf(new Uint8Array(Float32Array.of(3).buffer));
    const scalar = [{ name: 'step', tensor: tensor([0], []) }];
    expect(values(addon.readTensors(path, [span('step', 'F32', [], 0, 4)], scalar))).toEqual([[3]]);
  });

  it.each([
    ['a file that is not there', 'WEIGHTS_NOT_FOUND', span('a', 'F32', [2], 0, 8), '/not/there'],
    ['a file that ends too soon', 'WEIGHTS_INVALID', span('a', 'F32', [2], 4, 8), undefined],
    ['a place before the file', 'WEIGHTS_INVALID', span('a', 'F32', [2], -8, 8), undefined],
    ['a type that it does not know', 'WEIGHTS_INVALID', span('a', 'F8_E4M3', [2], 0, 8), undefined],
    ['a tensor that the model lacks', 'WEIGHTS_MISMATCH', span('b', 'F32', [2], 0, 8), undefined],
    ['another shape', 'WEIGHTS_MISMATCH', span('a', 'F32', [1, 2], 0, 8), undefined],
    ['a negative shape', 'WEIGHTS_MISMATCH', span('a', 'F32', [-2], 0, 8), undefined],
    ['a length that does not fit', undefined, span('a', 'F32', [2], 0, 4), undefined],
  ])('refuses to read %s', async (_, code, wrong, elsewhere) => {
    const path = elsewhere ?? (await fileOf(new Uint8Array(8)));
    const read = () => addon.readTensors(path, [wrong], [zeros('a', [2])]);
    expect(read).toThrow(code === undefined ? expect.any(Error) : expect.objectContaining({ code }));
  });

  it('refuses to write into a file that is not there', async () => {
    const path = join(await temporaryFolder(), 'missing');
    const write = () => addon.writeTensors(path, [span('a', 'F32', [2], 0, 8)], [zeros('a', [2])]);
    expect(write).toThrow(expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE' }));
  });
});
