import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SafetensorsDtype, TensorSpan } from '../../../../lib/weights/safetensors.ts';
import { readTorchFile } from '../../../../lib/weights/torch/pth.ts';
import { type TorchFileTensor, writeTorchFile } from '../../../../lib/weights/torch/pth-writer.ts';
import { readEntry, readZip } from '../../../../lib/weights/torch/zip.ts';
import { dict, global, int, tensor } from '../../../support/torch-save.ts';
import { temporaryFolder } from '../../../support/voc.ts';

const bytesOf: Record<string, Buffer> = {
  a: Buffer.from(new Float32Array([1, 2, 3, 4, 5, 6]).buffer),
  b: Buffer.from(new Float64Array([0.5]).buffer),
  c: Buffer.alloc(0),
};
const tensors: TorchFileTensor[] = [
  { name: 'a', dtype: 'F32', shape: [3, 2], stateDictNames: ['x.a', 'y.a'] },
  { name: 'b', dtype: 'F64', shape: [], stateDictNames: ['b'] },
  { name: 'c', dtype: 'BF16', shape: [2, 0], stateDictNames: ['c'] },
];

/** Fills a file as the native side does. */
function filler(path: string) {
  return async (spans: TensorSpan[]) => {
    const file = await open(path, 'r+');
    for (const { name, offset } of spans) await file.write(bytesOf[name]!, 0, bytesOf[name]!.length, offset);
    await file.close();
  };
}

async function written(options: { epoch?: number }, list = tensors): Promise<string> {
  const path = join(await temporaryFolder(), 'a.pth');
  await writeTorchFile(path, list, options, filler(path));
  return path;
}

describe('writeTorchFile', () => {
  it('has the records of torch.save, with the pickle that torch writes', async () => {
    const path = await written({ epoch: 3 }, tensors.slice(0, 1));
    const entries = await readZip(await readFile(path));
    const text = async (index: number) => (await readEntry(entries[index]!, 10_000)).toString('latin1');
    expect(entries.map(({ name }) => name)).toEqual([
      'archive/data.pkl',
      'archive/byteorder',
      'archive/data/0',
      'archive/version',
    ]);
    const a = tensor({ shape: [3, 2], elements: 6 });
    const stateDict = `${global('collections', 'OrderedDict')})R(X\x03\0\0\0x.a${a}X\x03\0\0\0y.a${a}u`;
    expect(await text(0)).toBe(`\x80\x02${dict({ epoch: int(3), model_state_dict: stateDict })}.`);
    expect([await text(1), await text(3)]).toEqual(['little', '3\n']);
    expect(await readEntry(entries[2]!, 100)).toEqual(bytesOf.a);
  });

  it('is read back, tensors of two names and of no elements among them', async () => {
    const path = await written({ epoch: 0 });
    const file = await readFile(path);
    const { key, tensors: found } = await readTorchFile(path);
    expect(key).toBe('model_state_dict');
    expect(found.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['x.a', 'F32', [3, 2]],
      ['y.a', 'F32', [3, 2]],
      ['b', 'F64', []],
      ['c', 'BF16', [2, 0]],
    ]);
    const contents = found.map(({ offset, byteLength }) => file.subarray(offset, offset + byteLength));
    expect(contents).toEqual([bytesOf.a, bytesOf.a, bytesOf.b, bytesOf.c]);
    expect(found[1]!.offset).toBe(found[0]!.offset);
  });

  it('is the state_dict itself without an epoch', async () => {
    expect((await readTorchFile(await written({}))).key).toBeUndefined();
  });

  it('refuses a type that torch has no storage for', async () => {
    const odd = { name: 'a', dtype: 'U64' as SafetensorsDtype, shape: [1], stateDictNames: ['a'] };
    await expect(written({}, [odd])).rejects.toThrow('torch has no storage of the type U64');
  });
});
