import { describe, expect, it } from 'vitest';

import type { DetectorHandle } from '../../../lib/binding.ts';
import type { TensorInfo } from '../../../lib/weights/safetensors.ts';
import { expectError } from '../../support/voc.ts';
import { addon, allDetections, batchOf, changed, options, readBytes, readFloats, writeFloats } from '../detectors.ts';
import { imageOf, loadTestAddon, type Tensor } from '../support.ts';

const ops = await loadTestAddon();
const article = { ...options, backbone: 'convnext_tiny', numClasses: 21, imageSize: { width: 640, height: 640 } };

const count = (infos: TensorInfo[], prefix: string) =>
  infos
    .filter(({ name }) => name.startsWith(prefix))
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

/** Sets every tensor of these names to one number. */
async function fill(detector: DetectorHandle, values: Record<string, number>) {
  const infos = await addon.describeState(detector, 'model');
  const tensors = Object.entries(values).map(([name, value]): [string, Tensor] => {
    const { shape } = infos.find((info) => info.name === name)!;
    return [name, { data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value), shape }];
  });
  await writeFloats(detector, 'model', new Map(tensors));
}

describe("the article's model", () => {
  it('has 33,004,878 parameters, 5,184,750 of them in the head, and 1,600 default boxes', async () => {
    const detector = await addon.createDetector(article);
    const infos = await addon.describeState(detector, 'model');
    expect(count(infos, '')).toBe(33_004_878);
    expect(count(infos, 'backbone.')).toBe(27_820_128);
    expect(count(infos, 'head.')).toBe(5_184_750);
    expect(count(infos, 'head.regression_head.')).toBe(829_560);
    expect(count(infos, 'head.classification_head.')).toBe(4_355_190);
    expect(addon.featureMaps(detector)).toEqual([{ channels: 768, height: 20, width: 20 }]);
    expect(await addon.defaultBoxes(detector)).toEqual(
      ops.defaultBoxes(options.defaultBoxes, [{ width: 20, height: 20 }], article.imageSize).data,
    );
  });
});

describe('detector model', () => {
  it('names its tensors as torchvision does, behind backbone. and head.', async () => {
    const infos = await addon.describeState(await addon.createDetector(options), 'model');
    const backbone = ops.convnextParameters('convnext_test', 0);
    const entries = ['classification_head', 'regression_head'].flatMap((head) =>
      [0, 1, 2, 3, 4, 5].flatMap((k) => ['weight', 'bias'].map((what) => `head.${head}.module_list.${k}.${what}`)),
    );
    expect(infos.map(({ name }) => name)).toEqual([...backbone.map(({ name }) => `backbone.${name}`), ...entries]);
    expect(new Set(infos.map(({ dtype }) => dtype))).toEqual(new Set(['F32']));
    const shapeOf = (name: string) => infos.find((info) => info.name === name)!.shape;
    expect(shapeOf('head.classification_head.module_list.1.weight')).toEqual([6 * 4, 192, 3, 3]);
    expect(shapeOf('head.regression_head.module_list.1.bias')).toEqual([6 * 4]);
  });

  it('follows its seed', async () => {
    const weights = async (seed: number) => readBytes(await addon.createDetector({ ...options, seed }), 'model');
    const [first, again, other] = [await weights(5), await weights(5), await weights(6)];
    expect(changed(first, again)).toEqual([]);
    const drawn = (await addon.describeState(await addon.createDetector(options), 'model'))
      .filter(({ shape }) => shape.length > 1)
      .map(({ name }) => name)
      .sort();
    expect(changed(first, other)).toEqual(drawn);
  });

  it('starts its head from Xavier uniform weights and zero biases', async () => {
    const state = await readFloats(await addon.createDetector(options), 'model');
    const bound = Math.sqrt(6 / (9 * (192 + 4 * 4)));
    const weights = state.get('head.regression_head.module_list.0.weight')!;
    const largest = weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeLessThanOrEqual(bound * 1.000001);
    expect(largest).toBeGreaterThan(0.99 * bound);
    expect(Math.abs(weights.reduce((sum, value) => sum + value, 0) / weights.length)).toBeLessThan(bound / 50);
    expect(state.get('head.classification_head.module_list.3.bias')!.every((value) => value === 0)).toBe(true);
  });

  it('finds, with hand-made weights, what they say: one class everywhere, boxes as they are', async () => {
    const detector = await addon.createDetector(options);
    await fill(detector, {
      'head.classification_head.module_list.0.weight': 0,
      'head.regression_head.module_list.0.weight': 0,
    });
    const bias = Float32Array.from({ length: 16 }, (_, i) => (i % 4 === 2 ? 5 : 0));
    await writeFloats(
      detector,
      'model',
      new Map([['head.classification_head.module_list.0.bias', { data: bias, shape: [16] }]]),
    );
    const { counts, boxes, scores, labels } = await addon.detect(detector, await batchOf(), {
      ...allDetections,
      scoreThreshold: 0.5,
      nmsThreshold: 1,
    });
    expect(counts).toEqual(Int32Array.of(16, 16));
    expect(new Set(labels)).toEqual(new Set([2]));
    const score = Math.exp(5) / (Math.exp(5) + 3);
    for (const value of scores) expect(value).toBeCloseTo(score, 6);
    const clipped = (await addon.defaultBoxes(detector)).map((value) => Math.min(64, Math.max(0, value)));
    const rows = (flat: Float32Array) =>
      Array.from({ length: flat.length / 4 }, (_, i) => [...flat.subarray(4 * i, 4 * i + 4)].map((x) => x.toFixed(4)));
    expect(rows(boxes.subarray(0, 64))).toEqual(rows(clipped));
  });

  it('normalises pixels by mean and deviation', async () => {
    const detect = async (mean: number[], std: number[], shift: number) => {
      const detector = await addon.createDetector({ ...options, mean, std });
      const size = options.imageSize;
      const data = imageOf('shifted', size).map((value) => (value >> 1) + shift);
      const batch = await addon.createBatch({
        size,
        images: [{ data, ...size, flip: false }],
        counts: Int32Array.of(0),
        boxes: new Float32Array(0),
        labels: new Int32Array(0),
      });
      return (await addon.detect(detector, batch, { ...allDetections, nmsThreshold: 1 })).scores;
    };
    // 51 = .2 * 255: an image that is brighter by .2 under a mean that is larger by .2 is the same image.
    const before = await detect([0.3, 0.4, 0.5], [0.2, 0.2, 0.2], 0);
    const after = await detect([0.5, 0.6, 0.7], [0.2, 0.2, 0.2], 51);
    const other = await detect([0.3, 0.4, 0.5], [0.2, 0.2, 0.2], 51);
    const distance = (a: Float32Array, b: Float32Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
    expect(distance(before, after)).toBeLessThan(1e-5);
    expect(distance(before, other)).toBeGreaterThan(1e-4);
  });

  it('gives each image of a batch what it gives it alone, boxes scaled to its own size', async () => {
    const detector = await addon.createDetector(options);
    const sizes = [
      { width: 64, height: 64 },
      { width: 128, height: 32 },
    ];
    const detect = async (chosen: number[]) => {
      const images = chosen.map((i) => ({ data: imageOf(`own${i}`, sizes[i]!), ...sizes[i]!, flip: false }));
      const nothing = { counts: new Int32Array(chosen.length), boxes: new Float32Array(0), labels: new Int32Array(0) };
      const batch = await addon.createBatch({ size: options.imageSize, images, ...nothing });
      return addon.detect(detector, batch, { ...allDetections, maxDetections: 10 });
    };
    const [both, first, second] = [await detect([0, 1]), await detect([0]), await detect([1])];
    expect(both.counts).toEqual(Int32Array.of(10, 10));
    expect([...both.labels]).toEqual([...first.labels, ...second.labels]);
    const alone = [...first.boxes, ...second.boxes];
    for (const [i, value] of both.boxes.entries()) expect(value).toBeCloseTo(alone[i]!, 3);
    expect(Math.max(...second.boxes)).toBeGreaterThan(64);
    expect(second.boxes.every((value, i) => value <= (i % 2 === 0 ? 128 : 32))).toBe(true);
  });

  it('refuses a backbone and a device that are not there', async () => {
    await expectError(
      addon.createDetector({ ...options, backbone: 'resnet' }),
      'NATIVE_ERROR',
      'unknown ConvNeXt "resnet"',
    );
    await expectError(addon.createDetector({ ...options, device: 'gpu' }), 'NATIVE_ERROR', 'gpu');
    const devices = addon.cudaDeviceCount();
    for (const index of [devices, 127, 200]) {
      const cuda = addon.createDetector({ ...options, device: `cuda:${index}` });
      await expectError(cuda, 'DEVICE_UNAVAILABLE', `cuda:${index}`, `${devices} CUDA devices`, '"cpu"');
    }
  });
});
