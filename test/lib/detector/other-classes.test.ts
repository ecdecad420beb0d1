import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { writeState } from '../../../lib/detector/model-state.ts';
import { readSafetensorsHeader } from '../../../lib/weights/safetensors.ts';
import { temporaryFolder } from '../../support/voc.ts';

const small = { backbone: 'convnext_test', imageSize: { width: 64, height: 64 } } as const;
const models: [string, Partial<DetectorOptions>][] = [
  ['SSD', {}],
  ['RetinaNet', { head: 'retinanet' }],
  ['dense', { preset: 'dense' }],
  ['dense, end to end', { preset: 'dense', endToEnd: true }],
];

/** The file of a detector of these classes, and its tensors. */
async function trained(model: Partial<DetectorOptions>, classes: readonly string[]) {
  const weights = join(await temporaryFolder(), 'detector.safetensors');
  await using detector = await Detector.create({ ...small, ...model, classes, seed: 1 });
  await exportDetector(detector, weights, { format: 'safetensors' });
  return { weights, tensors: await readTensors(weights), config: detector.config };
}

interface Values {
  shape: number[];
  data: Float32Array;
}

async function readTensors(path: string): Promise<Map<string, Values>> {
  const bytes = await readFile(path);
  const { tensors } = await readSafetensorsHeader(path);
  return new Map(
    tensors.map(({ name, shape, offset, byteLength }) => {
      const copy = Uint8Array.from(bytes.subarray(offset, offset + byteLength));
      return [name, { shape, data: new Float32Array(copy.buffer) }];
    }),
  );
}

async function tensorsOf(detector: Detector): Promise<Map<string, Values>> {
  const path = join(await temporaryFolder(), 'state.safetensors');
  const { addon, handle } = internalsOf(detector);
  await writeState(addon, handle, 'model', path);
  return readTensors(path);
}

const bytesOf = ({ data }: Values) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

const isOfClasses = (name: string) => /^head\.(classification_head\.(module_list|cls_logits)|.*rtm_cls)/.test(name);

/** The rows of one class, in a tensor with so many classes (the background among them) for each default box. */
function rowsOf({ shape, data }: Values, classes: number, column: number): string[] {
  const length = data.length / shape[0]!;
  const rows = Array.from({ length: shape[0]! }, (_, row) => data.subarray(row * length, (row + 1) * length).join());
  return rows.filter((_, row) => row % classes === column);
}

describe.each(models)('the weights of a detector of other classes: %s', (_, model) => {
  it('keep all but the classes that are new, and say which', async () => {
    const { weights, tensors, config } = await trained(model, ['cat', 'dog']);
    await using detector = await Detector.create({ classes: ['bird', 'dog', 'cat'], seed: 9, weights });
    expect({ ...detector.config }).toEqual(config);
    expect(detector.weightReport).toMatchObject({
      head: false,
      classes: { kept: ['dog', 'cat'], added: ['bird'] },
      missing: [],
      unexpected: [],
      wrongShape: [],
    });
    const now = await tensorsOf(detector);
    expect([...now.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, values] of now) {
      if (!isOfClasses(name)) expect(bytesOf(values).equals(bytesOf(tensors.get(name)!)), name).toBe(true);
    }
  });

  it('put the rows of each class that is kept in its new place', async () => {
    const { weights, tensors } = await trained(model, ['cat', 'dog']);
    await using detector = await Detector.create({ classes: ['bird', 'dog', 'cat'], seed: 9, weights });
    const now = await tensorsOf(detector);
    const background = detector.config.head === 'dense' ? 0 : 1;
    const names = [...now.keys()].filter(isOfClasses);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const [own, file] = [now.get(name)!, tensors.get(name)!];
      const rows = (values: Values, classes: number, column: number) =>
        rowsOf(values, classes + background, column + background);
      expect(rows(own, 3, 1), name).toEqual(rows(file, 2, 1)); // dog
      expect(rows(own, 3, 2), name).toEqual(rows(file, 2, 0)); // cat
      if (background) expect(rowsOf(own, 4, 0), name).toEqual(rowsOf(file, 3, 0));
      if (name.endsWith('weight')) expect(rows(own, 3, 0)).not.toEqual(rows(file, 2, 0));
    }
  });
});

describe('the weights of a detector', () => {
  it('of fewer classes, or of none that are the same, keep the rest', async () => {
    const { weights } = await trained({}, ['cat', 'dog', 'bird']);
    await using fewer = await Detector.create({ classes: ['bird'], weights });
    expect(fewer.weightReport!.classes).toEqual({ kept: ['bird'], added: [] });
    await using others = await Detector.create({ classes: ['car', 'bus'], weights });
    expect(others.weightReport!.classes).toEqual({ kept: [], added: ['car', 'bus'] });
  });

  it('of as many classes with other names are those classes, renamed', async () => {
    const { weights } = await trained({}, ['cat', 'dog']);
    await using detector = await Detector.create({ classes: ['Katze', 'Hund'], weights });
    expect(detector.weightReport).toMatchObject({ head: true });
    expect(detector.weightReport).not.toHaveProperty('classes');
  });

  it('of as many classes, some of them the same, keep those by name', async () => {
    const { weights } = await trained({}, ['cat', 'dog']);
    await using detector = await Detector.create({ classes: ['bird', 'cat'], weights });
    expect(detector.weightReport).toMatchObject({ head: false, classes: { kept: ['cat'], added: ['bird'] } });
  });

  it('of another shape are the backbone alone', async () => {
    const { weights } = await trained({ preset: 'dense' }, ['cat', 'dog']);
    await using detector = await Detector.create({ ...small, preset: 'ssd', classes: ['cat', 'dog', 'bird'], weights });
    expect(detector.config.head).toBeUndefined();
    expect(detector.weightReport).toMatchObject({ head: false });
    expect(detector.weightReport).not.toHaveProperty('classes');
  });

  it('end to end give a second branch to a detector, or are taken without theirs', async () => {
    const plain = await trained({ preset: 'dense' }, ['cat', 'dog']);
    await using twin = await Detector.create({ classes: ['cat', 'dog'], endToEnd: true, weights: plain.weights });
    expect(twin.weightReport).toMatchObject({ head: true, missing: [], unexpected: [] });
    const tensors = await tensorsOf(twin);
    expect(tensors.get('head.one_to_one.rtm_cls.0.weight')).toEqual(tensors.get('head.rtm_cls.0.weight'));

    const ended = await trained({ preset: 'dense', endToEnd: true }, ['cat', 'dog']);
    await using same = await Detector.create({ classes: ['cat', 'dog'], weights: ended.weights });
    expect(same.config.endToEnd).toBe(true);
    await using without = await Detector.create({ classes: ['cat', 'dog'], endToEnd: false, weights: ended.weights });
    expect(without.config).not.toHaveProperty('endToEnd');
    expect(without.weightReport).toMatchObject({ head: true, missing: [] });
  });
});
