import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import type { NativeDetectorOptions } from '../../../lib/binding.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { retinaNetMaps } from '../../../lib/model/feature-pyramid.ts';
import { resolveLearning } from '../../../lib/model/scores.ts';
import { fixture, golden } from '../../support/shared.ts';
import { expectError } from '../../support/voc.ts';
import { addon, batchOf, changed, gradientsOf, oneStep, readBytes, weighted } from '../detectors.ts';
import {
  type Digest,
  expectClose,
  expectDigest,
  imageOf,
  loadTestAddon,
  maxDifference,
  type NamedTensor,
  pattern,
  tensor,
  weight,
} from '../support.ts';

const core = await loadTestAddon();
const reference: Reference = (await golden('native/retinanet.json')).whole;

interface Reference {
  shapes: Record<string, number[]>;
  output: Record<'cls_logits' | 'bbox_regression', Digest>;
  targets: { boxes: number[][]; labels: number[] }[];
  boxLoss: number;
  classLoss: number;
  gradientNorm: number;
  gradients: Record<string, Digest>;
}

/** torchvision's RetinaNet on the small backbone. */
function retinaNet(more: Partial<NativeDetectorOptions> = {}, imageSize = { width: 128, height: 96 }) {
  const {
    preset: _,
    postprocess: __,
    ...config
  } = presetConfig('article', 'convnext_test', imageSize, { head: 'retinanet' });
  return {
    ...config,
    scores: 'sigmoid',
    numClasses: 4,
    seed: 1,
    device: 'cpu',
    precision: 'fp32',
    ...more,
  } satisfies NativeDetectorOptions;
}

const { postprocess } = presetConfig('article', 'convnext_test', { width: 128, height: 96 }, { head: 'retinanet' });
const everything = { ...postprocess, scoreThreshold: 0 };
const { loss, assigner } = resolveLearning({}, { head: 'retinanet' });
/** As torchvision trains it. */
const its = { optimizer: 'sgd', loss, assigner };
const scripted = async (name: string) => ({
  backbone: 'torchscript',
  torchscript: await readFile(fixture(`native/torchscript/${name}.pt`)),
});

describe("torchvision's RetinaNet on a ConvNeXt", () => {
  it('has its tensors, under its names but for those of the pyramid', async () => {
    const infos = await addon.describeState(await addon.createDetector(retinaNet()), 'model');
    const sorted = (shapes: Record<string, number[]>) => Object.entries(shapes).sort();
    expect(sorted(Object.fromEntries(infos.map(({ name, shape }) => [name, shape])))).toEqual(sorted(reference.shapes));
  });

  it('has its logits and box codes', async () => {
    const named = (prefix: string): NamedTensor[] =>
      Object.entries(reference.shapes)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, shape]) => ({ name: name.slice(prefix.length), tensor: weight(name, shape) }));
    // The order of a state_dict is not that of our parameters.
    const ordered = (wanted: NamedTensor[], all: NamedTensor[]) =>
      wanted.map(({ name }) => all.find((entry) => entry.name === name)!);
    const backbone = ordered(core.convnextParameters('convnext_test', 1, true), named('backbone.'));
    const pixels = Array.from({ length: 3 }, (_, n) => imageOf(`picture${n}`, { width: 128, height: 96 }));
    const { mean, std } = retinaNet();
    const planes = pixels.flatMap((rgb) =>
      [0, 1, 2].map((c) => Array.from({ length: 128 * 96 }, (_, i) => (rgb[3 * i + c]! / 255 - mean[c]!) / std[c]!)),
    );
    const maps = core.convnextForward('convnext_test', backbone, tensor(planes.flat(), [3, 3, 96, 128]), true);
    const neck = ordered(core.featurePyramidParameters(maps, 96, true, 1, true), named('neck.'));
    const pyramid = core.featurePyramid(maps, 96, true, neck, true);
    const head = ordered(core.retinaNetParameters(192, 9, 4, 1), named('head.'));
    const { clsLogits, bboxRegression } = core.retinaNetHead(192, 9, 4, head, pyramid);
    const { cls_logits, bbox_regression } = reference.output;
    expectDigest('cls_logits', clsLogits.data, cls_logits, 1e-5 * cls_logits.largest);
    expectDigest('bbox_regression', bboxRegression.data, bbox_regression, 1e-5 * bbox_regression.largest);
  });

  it('has its losses and every gradient, of a batch with an image without objects', async () => {
    const batch = await batchOf(reference.targets, { width: 128, height: 96 });
    const { step, gradients } = await gradientsOf(await weighted(retinaNet()), batch, its);
    const { boxLoss, classLoss, gradientNorm } = reference;
    expectClose([step.boxLoss, step.classLoss, step.gradientNorm], [boxLoss, classLoss, gradientNorm], 1e-5);
    for (const [name, expected] of Object.entries(reference.gradients)) {
      expectDigest(name, gradients.get(name)!, expected, 2e-5 * expected.largest);
    }
  });

  it('has the same gradients in parts of a batch', async () => {
    const step = async (microBatchSize?: number) => {
      const detector = await weighted(retinaNet());
      const training = { ...its, fineTune: true, ...(microBatchSize && { microBatchSize }) };
      await addon.startTraining(detector, training);
      return oneStep(detector, await batchOf(reference.targets, { width: 128, height: 96 }), 1e-4);
    };
    const [whole, parts] = [await step(), await step(2)];
    for (const key of ['loss', 'boxLoss', 'classLoss', 'gradientNorm', 'positives'] as const) {
      expect(parts[key] / whole[key], key).toBeCloseTo(1, 4);
    }
  });
});

describe('a detector with the head of RetinaNet', () => {
  it.each([
    [64, 64],
    [128, 96],
    [320, 224],
  ])('has the maps and anchors that lib says: %i x %i', async (width, height) => {
    const imageSize = { width, height };
    const detector = await addon.createDetector(retinaNet({}, imageSize));
    const maps = retinaNetMaps(imageSize);
    expect(addon.featureMaps(detector).map(({ width, height }) => ({ width, height }))).toEqual(maps);
    const { defaultBoxes } = retinaNet();
    expect(await addon.defaultBoxes(detector)).toEqual(core.anchors(defaultBoxes as never, maps, imageSize).data);
  });

  it('begins with scores of .01, and a pyramid of Kaiming uniform weights', async () => {
    const detector = await addon.createDetector(retinaNet());
    const { scores } = await addon.detect(detector, await batchOf([{ boxes: [], labels: [] }], { width: 128, height: 96 }), everything); // biome-ignore format: one line
    for (const score of scores) expect(Math.abs(score - 0.01)).toBeLessThan(0.002);
    const drawn = core.featurePyramidParameters(
      [pattern('m', [1, 32, 4, 4]), pattern('n', [1, 8, 2, 2])],
      64,
      true,
      3,
      true,
    );
    for (const { name, tensor: each } of drawn.filter(({ tensor: { shape } }) => shape.length > 1)) {
      const [, fanIn, height, width] = each.shape as [number, number, number, number];
      const largest = each.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const bound = Math.sqrt(3 / (fanIn * height * width));
      expect(largest / bound, name).toBeGreaterThan(0.9);
      expect(largest / bound, name).toBeLessThanOrEqual(1.000001);
    }
    expect(drawn.map(({ name }) => name).filter((name) => name.endsWith('.bias'))).toEqual(
      ['inner_blocks.0', 'layer_blocks.0', 'inner_blocks.1', 'layer_blocks.1']
        .concat(['extra_blocks.p5', 'extra_blocks.p6', 'extra_blocks.p7'])
        .map((name) => `${name}.bias`),
    );
  });

  it('trains neck and head with a frozen backbone', async () => {
    const detector = await addon.createDetector(retinaNet());
    const before = await readBytes(detector, 'model');
    await addon.startTraining(detector, { ...its, fineTune: false });
    await oneStep(detector, await batchOf(reference.targets, { width: 128, height: 96 }), 1e-2);
    const names = changed(before, await readBytes(detector, 'model'));
    expect(names).toEqual([...before.keys()].filter((name) => !name.startsWith('backbone.')).sort());
  });

  it('computes in bfloat16 near float32', async () => {
    const scores = async (precision: string) => {
      const detector = await weighted(retinaNet({ precision }));
      return (await addon.detect(detector, await batchOf([reference.targets[1]!], { width: 128, height: 96 }), everything)).scores.slice(0, 20); // biome-ignore format: one line
    };
    const [exact, near] = [await scores('fp32'), await scores('bf16')];
    expect(near).not.toEqual(exact);
    expect(maxDifference(near, exact)).toBeLessThan(0.03);
  });

  it.each(['one_map', 'tuple_of_maps', 'list_of_maps'])(
    'has five maps over a TorchScript backbone: %s',
    async (name) => {
      const size = { width: 64, height: 64 };
      const detector = await addon.createDetector(retinaNet(await scripted(name), size));
      expect(addon.featureMaps(detector)).toHaveLength(5);
      expect(new Set(addon.featureMaps(detector).map(({ channels }) => channels)).size).toBe(1);
      await addon.startTraining(detector, { ...its, fineTune: true });
      expect((await oneStep(detector, await batchOf(), 1e-4)).positives).toBeGreaterThan(0);
    },
  );

  it('refuses anchors for another number of maps, and maps that are not fused', async () => {
    const four = { sizes: [[32], [64], [128], [256]], aspectRatios: [1] };
    await expectError(
      addon.createDetector(retinaNet({ defaultBoxes: four })),
      'WEIGHTS_MISMATCH',
      '5 maps (16x12, 8x6, 4x3, 2x2, 1x1)',
      '4 lists of aspect ratios or sizes',
    );
    await expectError(addon.createDetector(retinaNet({ fusion: 'none' })), 'NATIVE_ERROR', 'looks at fused maps');
    const unfused = retinaNet({ features: 'last', fusion: 'none', defaultBoxes: { sizes: [[32]], aspectRatios: [1] } });
    const several = addon.createDetector({ ...unfused, ...(await scripted('tuple_of_maps')) });
    await expectError(several, 'NATIVE_ERROR', 'default boxes for each of 2 maps');
    await expectError(addon.createDetector(retinaNet({ scores: 'softmax' })), 'NATIVE_ERROR', 'scores sigmoid', 'received softmax'); // biome-ignore format: one line
    const wrong = retinaNet({ head: 'yolo' as 'ssd' });
    expect(() => addon.createDetector(wrong)).toThrow('one of ssd, retinanet, dense for native head');
  });

  it('takes other losses and assigners', async () => {
    for (const [box, assigner] of [
      ['giou', 'atss'],
      ['smooth-l1', 'ssd'],
    ] as const) {
      const loss = { classification: 'focal', box, backgroundNegatives: false } as const;
      const detector = await addon.createDetector(retinaNet());
      await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true, loss, assigner });
      const result = await oneStep(detector, await batchOf(reference.targets, { width: 128, height: 96 }), 1e-4);
      expect(Number.isFinite(result.loss) && result.positives > 0).toBe(true);
    }
  });
});
