import { describe, expect, it } from 'vitest';

import type { NativeDetectorOptions } from '../../../lib/binding.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { resolveLearning } from '../../../lib/model/scores.ts';
import { golden } from '../../support/shared.ts';
import { addon, batchOf, gradientsOf, weighted } from '../detectors.ts';
import {
  type Digest,
  expectClose,
  expectDigest,
  loadTestAddon,
  type NamedTensor,
  pattern,
  tensor,
  unpack,
  weight,
} from '../support.ts';

// mmdet's RTMDet with GroupNorm, as libreyolo 1.6.0 has it in PyTorch (test/reference/make_dense.py).

const core = await loadTestAddon();

interface Reference {
  necks: { channels: number[]; side: number; outputs: Record<string, Digest> }[];
  head: { channels: number; side: number; output: Record<'logits' | 'codes', Digest> };
  batches: Batch[];
  whole: {
    shapes: Record<string, number[]>;
    targets: { boxes: number[][]; labels: number[] }[];
    classLoss: number;
    boxLoss: number;
    gradientNorm: number;
    gradients: Record<string, Digest>;
  };
}

interface Batch {
  boxes: string[];
  labels: number[][];
  classLoss: number;
  boxLoss: number;
  gradients: Record<string, Digest>;
}

const reference: Reference = await golden('native/dense.json');

const mapsOf = (channels: readonly number[], side: number, images = 1) =>
  channels.map((count, k) => pattern(`map${k}`, [images, count, side / 2 ** k, side / 2 ** k], 2));
const weightsFor = (parameters: readonly NamedTensor[]) =>
  parameters.map(({ name, tensor: { shape } }) => ({ name, tensor: weight(name, shape) }));
const close = (name: string, found: ArrayLike<number>, expected: Digest, tolerance = 1e-5) =>
  expectDigest(name, found as Float32Array, expected, tolerance * Math.max(1, expected.largest));

describe('the neck', () => {
  it.each(reference.necks)("gives the reference's maps: channels $channels", ({ channels, side, outputs }) => {
    const maps = mapsOf(channels, side);
    const made = core.denseNeck(maps, 0, weightsFor(core.denseNeckParameters(maps, 0, 1)));
    for (const [k, { data }] of made.entries()) close(`P${k}`, data, outputs[`P${k}`]!);
  });
});

describe('the head', () => {
  it("gives the reference's logits, and its distances as logarithms", () => {
    const { channels, side, output } = reference.head;
    const maps = mapsOf([channels, channels, channels], side, 2);
    const { clsLogits, bboxRegression } = core.denseHead(maps, 4, weightsFor(core.denseHeadParameters(maps, 4, 1)));
    const classes = clsLogits.data.filter((_, i) => i % 4 !== 0);
    close('logits', classes, output.logits);
    close('codes', bboxRegression.data, output.codes);
  });
});

/** The cells of a 160 x 128 image. */
const cells = [8, 16, 32].flatMap((stride) =>
  Array.from({ length: (160 * 128) / stride ** 2 }, (_, i) => {
    const [x, y] = [(i % (160 / stride)) * stride, Math.floor(i / (160 / stride)) * stride];
    return [x, y, x + stride, y + stride];
  }),
);
const points = cells.length;

function targetsOf({ boxes, labels }: Batch) {
  const most = Math.max(1, ...labels.map(({ length }) => length));
  const all = { boxes: new Float32Array(3 * most * 4), labels: new Int32Array(3 * most) };
  for (const [i, packed] of boxes.entries()) {
    all.boxes.set(unpack(packed), i * most * 4);
    all.labels.set(labels[i]!.map((label) => label + 1), i * most); // biome-ignore format: one line
  }
  return {
    boxes: tensor(all.boxes, [3, most, 4]),
    labels: { data: all.labels, shape: [3, most] },
    counts: { data: Int32Array.from(labels, ({ length }) => length), shape: [3] },
  };
}

describe('assigner and losses', () => {
  it.each(reference.batches.map((batch, i) => [i, batch] as const))(
    "are the reference's, with every gradient: batch %i",
    (index, batch) => {
      const name = `dense${index}`;
      const classes = pattern(`${name}.logits`, [3, points, 5], 5, -2).data;
      const rows = Array.from({ length: 3 * points }, (_, row) => [0, ...classes.subarray(5 * row, 5 * row + 5)]);
      const logits = tensor(rows.flat(), [3, points, 6]);
      const codes = pattern(`${name}.codes`, [3, points, 4], 3, 0.3);
      const loss = core.denseLoss(logits, codes, targetsOf(batch), tensor(cells.flat(), [points, 4]), 0);
      expectClose(
        [loss.classLoss / batch.classLoss, loss.boxLoss / (batch.boxLoss || 1)],
        [1, batch.boxLoss ? 1 : 0],
        1e-5,
      );
      const gradient = loss.logitsGradient.data.filter((_, i) => i % 6 !== 0);
      const { [`${name}.logits`]: ofLogits, [`${name}.codes`]: ofCodes } = batch.gradients as Record<string, Digest>;
      expectDigest(`${name}.logits`, gradient, ofLogits!, 2e-5 * ofLogits!.largest);
      expectDigest(`${name}.codes`, loss.regressionGradient.data, ofCodes!, 2e-5 * ofCodes!.largest);
    },
  );
});

describe('RTMDet on a ConvNeXt', () => {
  const imageSize = { width: 128, height: 96 };
  const { preset: _, postprocess: __, ...config } = presetConfig('dense', 'convnext_test', imageSize);
  const compute = { numClasses: 4, seed: 1, device: 'cpu', precision: 'fp32', scores: 'sigmoid' } as const;
  const detector: NativeDetectorOptions = { ...config, ...compute };

  it("has the reference's tensors", async () => {
    const infos = await addon.describeState(await addon.createDetector(detector), 'model');
    const sorted = (shapes: Record<string, number[]>) => Object.entries(shapes).sort();
    expect(sorted(Object.fromEntries(infos.map(({ name, shape }) => [name, shape])))).toEqual(
      sorted(reference.whole.shapes),
    );
  });

  it('has its losses and every gradient, of a batch with an image without objects', async () => {
    const { targets, classLoss, boxLoss, gradientNorm, gradients: expected } = reference.whole;
    const learning = { ...resolveLearning({}, { head: 'dense' }), objectBalance: 0 };
    const { step, gradients } = await gradientsOf(
      await weighted(detector),
      await batchOf(targets, imageSize),
      learning,
    );
    expectClose(
      [step.classLoss / classLoss, step.boxLoss / boxLoss, step.gradientNorm / gradientNorm],
      [1, 1, 1],
      2e-5,
    );
    for (const [name, digest] of Object.entries(expected)) {
      expectDigest(name, gradients.get(name)!, digest, 5e-5 * digest.largest);
    }
  });
});
