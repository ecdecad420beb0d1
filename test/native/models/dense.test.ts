import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import type { NativeDetectorOptions, TrainingOptions } from '../../../lib/binding.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { resolveLearning } from '../../../lib/model/scores.ts';
import { fixture } from '../../support/shared.ts';
import { expectError } from '../../support/voc.ts';
import { addon, batchOf, changed, gradientsOf, objects, oneStep, readBytes, weighted } from '../detectors.ts';
import { loadTestAddon, maxDifference, type NamedTensor, pattern, weight } from '../support.ts';

const core = await loadTestAddon();

const { loss, assigner } = resolveLearning({}, { head: 'dense' });
const its = { optimizer: 'sgd', loss, assigner } as const;

/** The preset on the small backbone, for four classes with the background. */
function dense(more: Partial<NativeDetectorOptions> = {}, imageSize = { width: 64, height: 64 }) {
  const { preset: _, postprocess: __, ...config } = presetConfig('dense', 'convnext_test', imageSize);
  const compute = { seed: 1, device: 'cpu', precision: 'fp32' };
  return { ...config, scores: 'sigmoid', numClasses: 4, ...compute, ...more } satisfies NativeDetectorOptions;
}

const { postprocess } = presetConfig('dense', 'convnext_test', { width: 64, height: 64 });
const everything = { ...postprocess, scoreThreshold: 0 };

const mapsOf = (channels: readonly number[], side = 8) =>
  channels.map((count, k) => pattern(`map${k}`, [1, count, side / 2 ** k, side / 2 ** k], 2));
const sizeOf = (parameters: readonly NamedTensor[]) =>
  parameters.reduce((sum, { tensor }) => sum + tensor.data.length, 0);
const weightsFor = (parameters: readonly NamedTensor[]) =>
  parameters.map(({ name, tensor: { shape } }) => ({ name, tensor: weight(name, shape) }));

/** The names that mmdet's CSPNeXtPAFPN has for its tensors, with blocks of each CSP. */
function neckNames(blocks: number): string[] {
  const modules = (name: string) => ['conv.weight', 'gn.weight', 'gn.bias'].map((leaf) => `${name}.${leaf}`);
  const numbered = (list: string, count: number) => Array.from({ length: count }, (_, i) => `${list}.${i}`);
  const csp = (name: string) => [
    ...['main_conv', 'short_conv', 'final_conv'].flatMap((layer) => modules(`${name}.${layer}`)),
    ...numbered(`${name}.blocks`, blocks).flatMap((block) =>
      ['conv1', 'conv2.depthwise_conv', 'conv2.pointwise_conv'].flatMap((layer) => modules(`${block}.${layer}`)),
    ),
  ];
  return [
    ...[...numbered('reduce_layers', 2), ...numbered('downsamples', 2), ...numbered('out_convs', 3)].flatMap(modules),
    ...[...numbered('top_down_blocks', 2), ...numbered('bottom_up_blocks', 2)].flatMap(csp),
  ].sort();
}

describe('the neck of a dense head', () => {
  // The sizes are those of the reference with GroupNorm, in millions (to 0.01).
  it.each([
    ['convnext_test', [48, 96, 192], 0, 1, 0.55],
    ['convnext_tiny', [192, 384, 768], 0, 2, 11.05],
    ['convnext_base', [256, 512, 1024], 0, 3, 23.75],
  ] as const)("has mmdet's tensors below %s", (_, channels, width, blocks, millions) => {
    const parameters = core.denseNeckParameters(mapsOf(channels), width, 1);
    expect(parameters.map(({ name }) => name).sort()).toEqual(neckNames(blocks));
    expect(sizeOf(parameters) / 1e6).toBeCloseTo(millions, 2);
  });

  it('is narrower below convolutions of its own', () => {
    const parameters = core.denseNeckParameters(mapsOf([192, 384, 768]), 128, 1);
    const own = parameters.filter(({ name }) => name.startsWith('projections.') && name.endsWith('conv.weight'));
    expect(own.map(({ tensor }) => tensor.shape)).toEqual([
      [128, 192, 1, 1],
      [256, 384, 1, 1],
      [512, 768, 1, 1],
    ]);
    const rest = parameters.map(({ name }) => name).filter((name) => !name.startsWith('projections.'));
    expect(rest.sort()).toEqual(neckNames(1));
  });

  it.each([0, 24, 10])('keeps the sizes of the maps, with one number of channels: width %i', (width) => {
    const maps = mapsOf([16, 32, 64], 16);
    const made = core.denseNeck(maps, width, weightsFor(core.denseNeckParameters(maps, width, 1)));
    const channels = width || 16;
    expect(made.map(({ shape }) => shape)).toEqual([16, 8, 4].map((side) => [1, channels, side, side]));
  });

  it('uses every one of its parameters', () => {
    const maps = mapsOf([16, 32, 64], 16); // all of a 5x5 kernel has cells to see
    const weights = weightsFor(core.denseNeckParameters(maps, 8, 1));
    const made = () => core.denseNeck(maps, 8, weights).flatMap(({ data }) => [...data]);
    const before = made();
    for (const { name, tensor } of weights) {
      const [old] = tensor.data;
      tensor.data[0] = old! + 0.5;
      expect(maxDifference(made(), before), name).toBeGreaterThan(1e-7);
      tensor.data[0] = old!;
    }
  });

  it('begins uniformly within 1 / sqrt(fan-in)', () => {
    for (const { name, tensor } of core.denseNeckParameters(mapsOf([64, 128, 256]), 0, 3)) {
      if (tensor.shape.length === 1) continue;
      const [, inputs, height, width] = tensor.shape as [number, number, number, number];
      const largest = tensor.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const part = largest * Math.sqrt(inputs * height * width);
      expect(part, name).toBeGreaterThan(0.9);
      expect(part, name).toBeLessThanOrEqual(1.000001);
    }
  });
});

describe('the dense head', () => {
  it("has mmdet's tensors, and shares the convolutions of its towers", () => {
    const names = core
      .denseHeadParameters(mapsOf([16, 16, 16]), 4, 1)
      .map(({ name, tensor }) => `${name} ${tensor.shape}`);
    const tower = (part: string, columns: number) => [
      ...[0, 1].map((i) => `${part}_convs.0.${i}.conv.weight 16,16,3,3`),
      ...[0, 1, 2].flatMap((level) => [
        ...[0, 1].flatMap((i) => ['weight', 'bias'].map((leaf) => `${part}_convs.${level}.${i}.gn.${leaf} 16`)),
        `rtm_${part}.${level}.weight ${columns},16,1,1`,
        `rtm_${part}.${level}.bias ${columns}`,
      ]),
    ];
    expect(names.sort()).toEqual([...tower('cls', 3), ...tower('reg', 4)].sort());
  });

  it("has as many numbers as the reference's: 1.35 million below convnext_tiny with 20 classes", () => {
    expect(sizeOf(core.denseHeadParameters(mapsOf([192, 192, 192]), 21, 1)) / 1e6).toBeCloseTo(1.35, 2);
  });

  it('gives a row for each cell, and none to the background', () => {
    const maps = mapsOf([16, 16, 16]);
    const weights = weightsFor(core.denseHeadParameters(maps, 4, 1));
    const { clsLogits, bboxRegression } = core.denseHead(maps, 4, weights);
    expect([clsLogits.shape, bboxRegression.shape]).toEqual([
      [1, 84, 4],
      [1, 84, 4],
    ]);
    const column = (c: number) => clsLogits.data.filter((_, i) => i % 4 === c);
    expect(new Set(column(0))).toEqual(new Set([Number.NEGATIVE_INFINITY]));
    expect(column(1).every(Number.isFinite)).toBe(true);
  });
});

describe('a detector with the dense head', () => {
  it.each([
    [64, 64],
    [96, 64],
    [320, 224],
  ])('has a point in the corner of every cell: %i x %i', async (width, height) => {
    const detector = await addon.createDetector(dense({}, { width, height }));
    const cells = [8, 16, 32].flatMap((stride) =>
      Array.from({ length: (width * height) / stride ** 2 }, (_, i) => {
        const columns = width / stride;
        const [x, y] = [(i % columns) * stride, Math.floor(i / columns) * stride];
        return [x, y, x + stride, y + stride];
      }),
    );
    expect([...(await addon.defaultBoxes(detector))]).toEqual(cells.flat());
  });

  it('begins with scores of 0.01', async () => {
    const detector = await addon.createDetector(dense());
    const { scores } = await addon.detect(detector, await batchOf([{ boxes: [], labels: [] }]), everything);
    expect(scores.length).toBeGreaterThan(0);
    for (const score of scores) expect(Math.abs(score - 0.01)).toBeLessThan(0.005);
  });

  it('trains neck and head with a frozen backbone', async () => {
    const detector = await addon.createDetector(dense({ headWidth: 16 }));
    const before = await readBytes(detector, 'model');
    await addon.startTraining(detector, { ...its, fineTune: false });
    await oneStep(detector, await batchOf(), 1e-2);
    const names = changed(before, await readBytes(detector, 'model'));
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter((name) => name.startsWith('backbone.'))).toEqual([]);
  });

  it('learns a batch', async () => {
    const detector = await addon.createDetector(dense());
    await addon.startTraining(detector, { ...its, optimizer: 'adamw', fineTune: true, clipGradNorm: 10 });
    const batch = await batchOf();
    const losses: number[] = [];
    for (let step = 0; step < 30; step++) losses.push((await oneStep(detector, batch, 2e-3, step)).loss);
    const mean = (part: number[]) => part.reduce((sum, value) => sum + value, 0) / part.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.7 * mean(losses.slice(0, 5)));
  });

  it('computes in bfloat16 near float32', async () => {
    const scores = async (precision: string) => {
      const detector = await weighted(dense({ precision }));
      return (await addon.detect(detector, await batchOf([objects[1]!]), everything)).scores.slice(0, 20);
    };
    const [exact, near] = [await scores('fp32'), await scores('bf16')];
    expect(near).not.toEqual(exact);
    expect(maxDifference(near, exact)).toBeLessThan(0.05);
  });

  it.each([
    [64, 64],
    [64, 96],
    [64, 128],
    [96, 64],
    [160, 96],
  ])('has finite gradients in bfloat16 at %i x %i', async (width, height) => {
    const detector = await addon.createDetector(dense({ precision: 'bf16' }, { width, height }));
    await addon.startTraining(detector, { ...its, fineTune: true });
    const { loss, gradientNorm } = await oneStep(detector, await batchOf(objects, { width, height }), 1e-4);
    expect([loss, gradientNorm].every(Number.isFinite)).toBe(true);
    expect(gradientNorm).toBeGreaterThan(0);
  });

  it('has the same gradients in parts of a batch, where every point counts the same', async () => {
    const step = async (microBatchSize?: number) => {
      const detector = await weighted(dense());
      const more = { objectBalance: 0, fineTune: true, ...(microBatchSize && { microBatchSize }) };
      await addon.startTraining(detector, { ...its, ...more });
      return oneStep(detector, await batchOf(), 1e-4);
    };
    const [whole, parts] = [await step(), await step(1)];
    for (const key of ['loss', 'boxLoss', 'classLoss', 'gradientNorm', 'positives'] as const) {
      expect(parts[key] / whole[key], key).toBeCloseTo(1, 4);
    }
  });

  const many = {
    boxes: Array.from({ length: 500 }, (_, i) => {
      const [x, y] = [(i * 7) % 50, (i * 13) % 50];
      return [x, y, x + 3 + (i % 11), y + 2 + (i % 9)];
    }),
    labels: Array.from({ length: 500 }, (_, i) => 1 + (i % 3)),
  };
  it.each([
    [
      'no objects',
      [
        { boxes: [], labels: [] },
        { boxes: [], labels: [] },
      ],
      0,
    ],
    ['an object in which no point lies', [{ boxes: [[9, 9, 13, 13]], labels: [1] }], 1],
    ['an object beside the image', [{ boxes: [[70, 70, 90, 90]], labels: [1] }], 1],
    ['500 objects', [many, { boxes: [], labels: [] }], undefined],
  ] as const)('has finite gradients with %s', async (_, images, positives) => {
    const detector = await addon.createDetector(dense());
    const batch = await batchOf(images as never);
    const { step, gradients } = await gradientsOf(detector, batch, its);
    if (positives === undefined) expect(step.positives).toBeGreaterThan(40);
    else expect(step.positives).toBe(positives);
    expect(Number.isFinite(step.loss)).toBe(true);
    for (const [name, values] of gradients) expect(values.every(Number.isFinite), name).toBe(true);
  });

  it.each([1, 1000])('has %i classes', async (classes) => {
    const detector = await addon.createDetector(dense({ numClasses: classes + 1 }));
    await addon.startTraining(detector, { ...its, fineTune: true });
    const batch = await batchOf([{ boxes: [[9, 10, 43, 42]], labels: [classes] }]);
    const { loss, positives } = await oneStep(detector, batch, 1e-4);
    expect(Number.isFinite(loss) && positives > 0).toBe(true);
    const found = await addon.detect(detector, batch, { ...postprocess, scoreThreshold: 0.005 });
    expect(found.labels.every((label) => label >= 1 && label <= classes)).toBe(true);
  });

  it('refuses the maps of a program that are not three, each half as large', async () => {
    const scripted = async (name: string) => ({
      backbone: 'torchscript',
      torchscript: await readFile(fixture(`native/torchscript/${name}.pt`)),
    });
    for (const name of ['one_map', 'tuple_of_maps']) {
      const creating = addon.createDetector(dense(await scripted(name)));
      await expectError(creating, 'WEIGHTS_MISMATCH', 'three feature maps', 'Choose the head ssd');
    }
  });

  it('refuses strides that are not those of the maps', async () => {
    const creating = addon.createDetector(dense({ defaultBoxes: { strides: [4, 8, 16] } }));
    await expectError(creating, 'WEIGHTS_MISMATCH', '8x8 cells', 'strides of the points');
  });

  it.each([
    ['quality', { loss: { ...loss, classification: 'focal' } }],
    ['giou', { loss: { ...loss, box: 'l1' } }],
    ['soft', { assigner: 'atss' }],
  ] as const)('is trained with %s alone', async (expected, other) => {
    const detector = await addon.createDetector(dense());
    const training = { ...its, fineTune: true, ...other } as TrainingOptions;
    await expect((async () => addon.startTraining(detector, training))()).rejects.toThrow(expected);
  });
});
