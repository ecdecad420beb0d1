import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Initializer, Model } from '../../../lib/onnx/proto/model-proto.ts';
import { readFields } from '../../../lib/onnx/proto/protobuf.ts';
import { writeModel } from '../../../lib/onnx/write-model.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const weight = (name: string, length: number, read = async () => new Uint8Array(length).fill(7)): Initializer => ({
  value: { name, type: 'uint8', shape: [length] },
  content: { byteLength: length, read },
});
const modelOf = (...initializers: Initializer[]): Model => ({
  ...{ opset: 20, producerVersion: '1', graphName: 'g', description: 'd' },
  ...{ inputs: [], outputs: [], nodes: [], initializers },
});

/** What is left in a folder that had the files of an earlier export, after one that fails. */
async function afterFailure(initializer: Initializer, externalAbove: number, ...words: string[]): Promise<void> {
  const folder = await temporaryFolder();
  const path = join(folder, 'a.onnx');
  await writeFile(path, 'earlier');
  await writeFile(`${path}.data`, 'earlier data');
  const model = modelOf(weight('first', 5000), initializer);
  const failed = writeModel(path, model, { key: 'value' }, externalAbove);
  if (words.length > 0) await expectError(failed, 'OUTPUT_NOT_WRITABLE', path, ...words);
  else await expect(failed).rejects.toThrow();
  expect((await readdir(folder)).sort()).toEqual(['a.onnx', 'a.onnx.data']);
  expect(await readFile(path, 'utf8')).toBe('earlier');
  expect(await readFile(`${path}.data`, 'utf8')).toBe('earlier data');
}

describe.each([
  ['in one file', 1e9],
  ['with its weights in another', 4000],
])('a model %s', (_, externalAbove) => {
  it('leaves an earlier one as it was where the disk is full', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    await afterFailure(
      weight('second', 5000, () => Promise.reject(full)),
      externalAbove,
      'The disk is full: free',
    );
  });

  it('leaves an earlier one as it was where a weight cannot be read, or is cut short', async () => {
    await afterFailure(
      weight('second', 5000, () => Promise.reject(new Error('no'))),
      externalAbove,
    );
    await afterFailure(
      weight('second', 5000, async () => new Uint8Array(4999)),
      externalAbove,
    );
  });

  it('is written twice at the same time, to the same place, and is whole', async () => {
    const path = join(await temporaryFolder(), 'a.onnx');
    const model = modelOf(weight('first', 5000), weight('second', 3000));
    const write = () => writeModel(path, model, { key: 'value' }, externalAbove);
    await Promise.all([write(), write()]);
    const entries = entriesOf(await readFile(path));
    expect(entries.get('key')).toBe('value');
    const files = (await readdir(join(path, '..'))).sort();
    expect(files).toEqual(externalAbove < 1e9 ? ['a.onnx', 'a.onnx.data'] : ['a.onnx']);
    if (externalAbove === 1e9) return expect(entries.has('data_sha256')).toBe(false);
    const data = await readFile(`${path}.data`);
    expect(data.length).toBe(8192 + 3000);
    expect(data.subarray(5000, 8192).every((byte) => byte === 0)).toBe(true);
    expect(entries.get('data_sha256')).toBe(createHash('sha256').update(data).digest('hex'));
  });
});

it('a weight of many chunks is written and hashed whole', async () => {
  const path = join(await temporaryFolder(), 'a.onnx');
  const bytes = Uint8Array.from({ length: 2 ** 24 + 5 }, (_, i) => i % 251);
  await writeModel(path, modelOf(weight('large', bytes.length, async () => bytes)), {}, 4000);
  const data = await readFile(`${path}.data`);
  expect(data.equals(bytes)).toBe(true);
  const digest = createHash('sha256').update(data).digest('hex');
  expect(entriesOf(await readFile(path)).get('data_sha256')).toBe(digest);
});

function entriesOf(file: Buffer): Map<string, string> {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
  return new Map(
    [...readFields(file)]
      .filter(({ number }) => number === 14)
      .map(({ bytes }) => [...readFields(bytes)].map((field) => text(field.bytes)) as [string, string]),
  );
}
