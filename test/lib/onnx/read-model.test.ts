import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { ProtobufMessage, readFields } from '../../../lib/onnx/proto/protobuf.ts';
import { readModel } from '../../../lib/onnx/read-model.ts';
import { formOptions } from '../../support/onnx-models.ts';
import { expectError } from '../../support/voc.ts';

let file: Buffer;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  const path = join(folder, 'detector.onnx');
  await using detector = await Detector.create(formOptions('article'));
  await exportDetector(detector, path, { format: 'onnx', verify: false });
  file = await readFile(path);
  await rm(folder, { recursive: true });
});

const refused = (bytes: Uint8Array, ...words: string[]) =>
  expectError(readModel('a.onnx', bytes), 'ONNX_INVALID', 'a.onnx cannot be used: it ', ...words, 'dinov3-det export');

const bytesOf = ({ pieces }: ProtobufMessage) => Buffer.concat(pieces as Uint8Array[]);
const entry = (key: string, value: string) =>
  bytesOf(new ProtobufMessage().message(14, new ProtobufMessage().text(1, key).text(2, value)));

/** A file with a digest that fits, as somebody would write it who knows how. */
function signed(...parts: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, entry('sha256', createHash('sha256').update(bytes).digest('hex'))]);
}

/** The metadata of the sound file, without the digest; `changes` replace some of them. */
function metadata(changes: Record<string, string | undefined> = {}): Buffer {
  const entries = [...readFields(file)].filter(({ number }) => number === 14);
  const texts = entries.map(({ bytes }) => {
    const [key, value] = [...readFields(bytes)].map((field) => Buffer.from(field.bytes).toString());
    return [key!, key! in changes ? changes[key!] : value!] as const;
  });
  return Buffer.concat(
    texts.flatMap(([key, value]) => (key === 'sha256' || value === undefined ? [] : [entry(key, value)])),
  );
}

const graphOf = (graph: ProtobufMessage) => bytesOf(new ProtobufMessage().message(7, graph));
const node = (operator: string) => new ProtobufMessage().text(1, 'x').text(2, 'y').text(4, operator);

describe('readModel', () => {
  it('takes a sound file, and one that was written by hand and signed', async () => {
    await expect(readModel('a.onnx', file)).resolves.toMatchObject({ externalData: undefined });
    const graph = graphOf(new ProtobufMessage().message(1, node('Relu')));
    await expect(readModel('a.onnx', signed(graph, metadata()))).resolves.toBeDefined();
  });

  it('refuses a file wherever it is cut short', async () => {
    for (let i = 0; i < 40; i++) await refused(file.subarray(0, Math.floor((file.length * i) / 40)));
    await refused(file.subarray(0, -1));
  });

  it('refuses a file with one bit flipped, wherever it is', async () => {
    for (let i = 0; i < 40; i++) {
      const damaged = Buffer.from(file);
      damaged[Math.floor(((file.length - 1) * i) / 39)]! ^= 1 << (i % 8);
      await refused(damaged);
    }
  });

  it('refuses what is appended', async () => {
    await refused(Buffer.concat([file, entry('more', 'text')]), 'goes on after its last entry');
  });

  it.each<[string, () => Uint8Array, string]>([
    ['nothing', () => new Uint8Array(0), 'no graph'],
    ['text', () => Buffer.from('not a model at all'), ''],
    ['a foreign model', () => graphOf(new ProtobufMessage().message(1, node('Relu'))), 'is no export of dinov3-det'],
    ['a claim of 10 GB', () => Buffer.from('3a80c8afa025', 'hex'), 'claims 10000000000 bytes where 0 are left'],
    ['a claim of 2^63', () => Buffer.from(`3a${'80'.repeat(9)}01`, 'hex'), 'are left'],
    ['deep nesting', () => nested(10_000), ''],
    [
      'an unknown operator',
      () => signed(graphOf(new ProtobufMessage().message(1, node('Loop'))), metadata()),
      '"Loop"',
    ],
    [
      'an operator of another domain',
      () => signed(graphOf(new ProtobufMessage().message(1, node('Relu').text(7, 'evil'))), metadata()),
      'a node with a field of the number 7',
    ],
    [
      'a graph in a node',
      () => {
        const attribute = new ProtobufMessage().text(1, 'body').message(6, new ProtobufMessage());
        return signed(graphOf(new ProtobufMessage().message(1, node('Relu').message(5, attribute))), metadata());
      },
      'an attribute that our exports lack',
    ],
    [
      'a weight that claims 10 GB',
      () => {
        const tensor = new ProtobufMessage().integer(1, 2.5e9).integer(2, 1).bytes(9, new Uint8Array(4));
        return signed(graphOf(new ProtobufMessage().message(5, tensor)), metadata());
      },
      'a weight of 4 bytes where its shape wants 10000000000',
    ],
    [
      'weights in two files',
      () => {
        const tensor = (location: string) =>
          new ProtobufMessage()
            .integer(1, 1)
            .integer(2, 1)
            .message(13, new ProtobufMessage().text(1, 'location').text(2, location))
            .message(13, new ProtobufMessage().text(1, 'length').text(2, '4'));
        return signed(graphOf(new ProtobufMessage().message(5, tensor('a')).message(5, tensor('b'))), metadata());
      },
      'more than one file',
    ],
    ['no model', () => changed({ model: '{}' }), 'model.preset'],
    ['no classes', () => changed({ classes: undefined }), '"classes" in its metadata, found none'],
    ['classes that are no JSON', () => changed({ classes: '{' }), 'not valid'],
    ['a resize rule of tomorrow', () => changed({ resize: 'letterbox' }), 'for resize'],
    ['a format of tomorrow', () => changed({ format_version: '2' }), 'for format_version'],
    ['an entry twice', () => signed(graphOf(new ProtobufMessage()), metadata(), metadata()), 'twice in its metadata'],
    ['no digest', () => Buffer.concat([graphOf(new ProtobufMessage()), metadata()]), 'lacks the entry sha256'],
  ])('refuses %s within 100 ms', async (_, bytes, message) => {
    const content = bytes();
    const began = performance.now();
    await refused(content, message);
    expect(performance.now() - began).toBeLessThan(100);
  });
});

function changed(changes: Record<string, string | undefined>): Buffer {
  return signed(graphOf(new ProtobufMessage()), metadata(changes));
}

/** Messages in messages, as a graph would have them in its nodes. */
function nested(depth: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < depth && bytes.length < 1e6; i++)
    bytes = bytesOf(new ProtobufMessage().bytes(i % 2 ? 1 : 5, bytes));
  return graphOf(new ProtobufMessage().bytes(1, bytes));
}
