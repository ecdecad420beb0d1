import { copyFile, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DetectorError } from '../../../../lib/base/errors.ts';
import { openWeights } from '../../../../lib/weights/open-weights.ts';
import type { TensorSpan } from '../../../../lib/weights/safetensors.ts';
import { readTorchFile } from '../../../../lib/weights/torch/pth.ts';
import { eight, replaced, sound, weight, withValue } from '../../../hostile/pth.ts';
import { fixture } from '../../../support/shared.ts';
import { dict, ordered, saveStateDict, tensor, torchRecords, torchSave } from '../../../support/torch-save.ts';
import { expectError, temporaryFolder } from '../../../support/voc.ts';

const pth = (name: string) => fixture(`pth/${name}`);
const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);

/** The bytes of a tensor, from the file. */
async function bytesOf(path: string, { offset, byteLength }: TensorSpan): Promise<Buffer> {
  return (await readFile(path)).subarray(offset, offset + byteLength);
}
async function tensorsOf(path: string): Promise<Record<string, TensorSpan>> {
  return Object.fromEntries((await readTorchFile(path)).tensors.map((span) => [span.name, span]));
}
async function saved(bytes: Buffer): Promise<string> {
  const path = join(await temporaryFolder(), 'saved.pth');
  await writeFile(path, bytes);
  return path;
}

describe('readTorchFile', () => {
  it.each([
    ['float64', 'F64', Float64Array],
    ['float32', 'F32', Float32Array],
    ['int32', 'I32', Int32Array],
    ['int16', 'I16', Int16Array],
    ['int8', 'I8', Int8Array],
    ['uint8', 'U8', Uint8Array],
  ] as const)('finds the bytes of %s', async (name, dtype, TypedArray) => {
    const span = (await tensorsOf(pth('tensors.pth')))[name]!;
    expect(span).toMatchObject({ name, dtype, shape: [2, 3], byteLength: 6 * TypedArray.BYTES_PER_ELEMENT });
    const bytes = await bytesOf(pth('tensors.pth'), span);
    expect([...new TypedArray(Uint8Array.from(bytes).buffer)]).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('finds the bytes of types that JavaScript has no arrays for', async () => {
    const spans = await tensorsOf(pth('tensors.pth'));
    const hex = async (name: string) => (await bytesOf(pth('tensors.pth'), spans[name]!)).toString('hex');
    expect(await hex('float16')).toBe('0000003c0040004200440045');
    expect(await hex('bfloat16')).toBe('0000803f004040408040a040');
    expect(await hex('int64')).toBe([0, 1, 2, 3, 4, 5].map((n) => `0${n}00000000000000`).join(''));
    expect(await hex('bool')).toBe('010001');
    expect(spans.bool).toMatchObject({ dtype: 'BOOL', shape: [3] });
    expect([spans.float16!.dtype, spans.bfloat16!.dtype, spans.int64!.dtype]).toEqual(['F16', 'BF16', 'I64']);
  });

  it('finds a window on a larger storage', async () => {
    const spans = await tensorsOf(pth('tensors.pth'));
    const values = async (name: string) => {
      const bytes = await bytesOf(pth('tensors.pth'), spans[name]!);
      return [...new Float32Array(Uint8Array.from(bytes).buffer)];
    };
    expect(spans.rows!.shape).toEqual([2, 5]);
    expect(await values('rows')).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    expect(spans.cell!.shape).toEqual([]);
    expect(await values('cell')).toEqual([13]);
    expect(spans['column of one']!.shape).toEqual([1, 1]);
    expect(await values('column of one')).toEqual([0]);
    expect(spans.nothing).toMatchObject({ shape: [0, 5], byteLength: 0 });
  });

  it('takes the state_dict of a training program and leaves its optimizer alone', async () => {
    const { key, tensors } = await readTorchFile(pth('last_model.pth'));
    expect(key).toBe('model_state_dict');
    const names = ['stem.weight', 'stem.bias', 'norm.weight', 'norm.bias', 'norms.1.weight', 'norms.1.bias'];
    expect(tensors.map(({ name }) => name)).toEqual(names);
    const bytes = await bytesOf(pth('last_model.pth'), tensors[1]!);
    expect(bytes).toEqual(floats(0.125, 1.125));
    // Two names of one module share their storage.
    expect(tensors[4]!.offset).toBe(tensors[2]!.offset);
  });

  it('takes parameters for tensors', async () => {
    const { key, tensors } = await readTorchFile(pth('parameters.pth'));
    expect(key).toBe('model');
    expect(tensors.map(({ shape }) => shape)).toEqual([[2, 1, 2, 2], [2], [2], [2]]);
  });

  it('ignores what is no tensor, and looks for the state_dict by its usual keys', async () => {
    const weight = tensor({ elements: 2, shape: [2] });
    const body = dict({
      epoch: 'K\x07',
      best: 'G?\xe0\0\0\0\0\0\0',
      state_dict: ordered({ weight, classes: '](NNe' }),
    });
    const { key, tensors } = await readTorchFile(await saved(torchSave(body, { 0: floats(1, 2) })));
    expect(key).toBe('state_dict');
    expect(tensors).toMatchObject([{ name: 'weight', dtype: 'F32', shape: [2], byteLength: 8 }]);
  });

  it('takes a tensor that was on a GPU', async () => {
    const body = dict({ weight: tensor({ elements: 2, shape: [2], location: 'cuda:1' }) });
    expect((await readTorchFile(await saved(torchSave(body, { 0: floats(1, 2) })))).tensors).toHaveLength(1);
  });

  it('reads the end of a file of gigabytes and the pickle, not what lies between', async () => {
    // A sparse file: 3 GiB of zeros that belong to an optimizer, in front of the weights.
    const whole = saveStateDict([{ name: 'weight', shape: [2], bytes: floats(1, 2) }]);
    const path = join(await temporaryFolder(), 'large.pth');
    await copyFile(await saved(whole), path);
    const hole = 3 * 2 ** 30;
    const file = await open(path, 'r+');
    const end = whole.length - 22;
    const begin = whole.readUInt32LE(end + 16);
    // The directory and the end record move behind the hole; the offsets of the entries stay.
    const directory = Buffer.from(whole.subarray(begin));
    directory.writeUInt32LE(begin + hole, directory.length - 22 + 16);
    await file.write(directory, 0, directory.length, begin + hole);
    await file.close();
    const before = process.memoryUsage().rss;
    const { tensors } = await readTorchFile(path);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
    expect(tensors).toMatchObject([{ name: 'weight', byteLength: 8 }]);
  });
});

describe('a damaged .pth file', () => {
  it('is refused where the sound one is taken', async () => {
    await expect(saved(sound).then(openWeights)).resolves.toMatchObject({ format: 'torch', unneeded: ['weight'] });
    await expect(saved(withValue('N')).then(openWeights)).resolves.toMatchObject({ unneeded: ['weight'] });
  });

  it.each([
    ['of before torch 1.6', 'legacy.pth', '_use_new_zipfile_serialization=True'],
    ['that is a plain pickle', 'plain.pkl', 'plain pickle'],
    ['with a whole module', 'module.pth', 'torch.nn.modules.normalization.LayerNorm'],
    ['with a transposed tensor', 'transposed.pth', 'contiguous()'],
  ])('%s is refused with advice', async (_, name, words) => {
    await expectError(openWeights(fixture(`pth/${name}`)), 'WEIGHTS_INVALID', name, words);
  });

  it('fails in no other way than DetectorError, wherever it is cut', async () => {
    const path = await saved(sound);
    for (let length = 0; length < sound.length; length += 3) {
      await writeFile(path, sound.subarray(0, length));
      await expect(openWeights(path), `${length} bytes`).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
    }
  });

  it('fails in no other way than DetectorError, whatever byte is wrong', async () => {
    // CRC-32 is put right again, so that the readers behind it are reached.
    const pickle = torchRecords(dict({ model: ordered({ weight }) }), { 0: eight })[0]![1];
    const path = await saved(Buffer.alloc(0));
    for (let at = 0; at < pickle.length; at++) {
      for (const change of [0xff, 0x01]) {
        const broken = Buffer.from(pickle);
        broken[at]! ^= change;
        await writeFile(path, replaced('data.pkl', broken));
        const error = await openWeights(path).catch((reason) => reason);
        if (error instanceof Error) expect(error, `byte ${at}`).toBeInstanceOf(DetectorError);
      }
    }
  });
});
