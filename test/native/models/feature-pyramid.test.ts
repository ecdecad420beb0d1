import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import { pyramidDefaultBoxes, pyramidMaps } from '../../../lib/model/feature-pyramid.ts';
import { fixture, golden } from '../../support/shared.ts';
import { expectError } from '../../support/voc.ts';
import { addon, allDetections, batchOf, changed, options, readBytes, readFloats, writeFloats } from '../detectors.ts';
import {
  expectClose,
  loadTestAddon,
  maxDifference,
  type NamedTensor,
  pattern,
  tensor,
  unpack,
  weight,
} from '../support.ts';

const core = await loadTestAddon();

interface Case {
  /** [channels, height, width] of each. */
  maps: number[][];
  image_height: number;
  fuse: boolean;
  outputs: { shape: number[]; values: string }[];
}
const cases = Object.entries<Case>(await golden('native/feature_pyramid.json'));

const weighted = (parameters: NamedTensor[]) =>
  parameters.map(({ name, tensor: { shape } }) => ({ name, tensor: weight(name, shape) }));
const mapsOf = (shapes: number[][]) => shapes.map((shape, k) => pattern(`map${k}`, [1, ...shape], 2));

/** The detector of the preset `best` on a small backbone. */
function pyramid(more: Partial<typeof options> = {}): typeof options {
  const { imageSize = options.imageSize } = more;
  const defaultBoxes = pyramidDefaultBoxes(pyramidMaps(imageSize));
  return { ...options, features: 'pyramid', defaultBoxes, ...more };
}

const scripted = async (name: string) => ({
  backbone: 'torchscript',
  torchscript: await readFile(fixture(`native/torchscript/${name}.pt`)),
});

describe('feature pyramid', () => {
  it.each(cases)("equals torch's layers and torchvision's FPN, with odd numbers of cells: %s", (_, question) => {
    const maps = mapsOf(question.maps);
    const weights = weighted(core.featurePyramidParameters(maps, question.image_height, question.fuse, 1));
    const made = core.featurePyramid(maps, question.image_height, question.fuse, weights);
    expect(made.map(({ shape }) => shape)).toEqual(question.outputs.map(({ shape }) => shape));
    for (const [k, { values }] of question.outputs.entries()) expectClose(made[k]!.data, unpack(values), 1e-5);
  });

  it.each(cases)('uses every one of its parameters: %s', (_, { maps: shapes, image_height: height, fuse }) => {
    const maps = mapsOf(shapes);
    const weights = weighted(core.featurePyramidParameters(maps, height, fuse, 1));
    const sum = () => core.featurePyramid(maps, height, fuse, weights).map(({ data }) => [...data]);
    const before = sum();
    for (const { name, tensor: values } of weights) {
      const kept = values.data.slice();
      for (let i = 0; i < kept.length; i++) values.data[i]! += i % 2 === 0 ? 0.5 : -0.25;
      expect(sum(), name).not.toEqual(before);
      values.data.set(kept);
    }
  });

  it('adds the coarser map, each cell over those that it covers, to the finer one: by hand', () => {
    const maps = [tensor([1, 2, 3, 4, 5, 6], [1, 1, 2, 3]), tensor([10, 20], [1, 1, 1, 2])];
    const centre = [0, 0, 0, 0, 1, 0, 0, 0, 0];
    const values: Record<string, number[]> = {
      'inner_blocks.0.weight': [2],
      'inner_blocks.1.weight': [3],
      'layer_blocks.0.weight': centre,
      'layer_blocks.1.weight': centre,
      'layer_blocks.1.bias': [0.5],
    };
    const weights = core.featurePyramidParameters(maps, 16, true, 0).map(({ name, tensor: { data, shape } }) => ({
      name,
      tensor: tensor(values[name] ?? data.map(() => 0), shape),
    }));
    // Nearest: of three columns the first two lie over the first of two cells.
    expect(core.featurePyramid(maps, 16, true, weights)).toEqual([
      tensor([2 + 30, 4 + 30, 6 + 60, 8 + 30, 10 + 30, 12 + 60], [1, 1, 2, 3]),
      tensor([30.5, 60.5], [1, 1, 1, 2]),
    ]);
  });

  it('begins with Xavier uniform weights from its seed, plain norms and zero biases', () => {
    const drawn = (seed: number) => core.featurePyramidParameters(mapsOf([[32, 6, 6]]), 192, true, seed);
    expect(drawn(3)).toEqual(drawn(3));
    expect(drawn(3)).not.toEqual(drawn(4));
    for (const {
      name,
      tensor: { data, shape },
    } of drawn(3)) {
      // biome-ignore format: one line
      const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const [out, fanIn, kernel = 1] = shape as [number, number, number?];
      const bound = Math.sqrt(6 / (kernel * kernel * (out + fanIn)));
      if (shape.length === 1) expect(new Set(data), name).toEqual(new Set([name.endsWith('.bias') ? 0 : 1]));
      else expect(largest / bound, name).toBeGreaterThan(0.9);
      if (shape.length > 1) expect(largest / bound, name).toBeLessThanOrEqual(1.000001);
    }
  });
});

describe('a ConvNeXt for a pyramid', () => {
  const images = pattern('images', [1, 3, 64, 96], 4);

  it('gives the maps of strides 8, 16 and 32, the last as without a pyramid', () => {
    const weights = weighted(core.convnextParameters('convnext_test', 1, true));
    const [first, second, last] = core.convnextForward('convnext_test', weights, images, true);
    expect([first, second, last].map((map) => map!.shape)).toEqual([
      [1, 48, 8, 12],
      [1, 96, 4, 6],
      [1, 192, 2, 3],
    ]);
    const alone = weights.filter(({ name }) => !name.startsWith('norms.'));
    expect(core.convnextForward('convnext_test', alone, images)).toEqual([last]);
    for (const map of [first!, second!])
      expect(
        maxDifference(
          map.data,
          map.data.map(() => 0),
        ),
      ).toBeGreaterThan(0.5);
  });

  it('normalises each map by itself: with a norm of 1 and 0, mean 0 and deviation 1 over the channels', () => {
    const weights = weighted(core.convnextParameters('convnext_test', 1, true));
    const initial = core.convnextParameters('convnext_test', 1, true);
    for (const [i, { name }] of weights.entries()) if (name.startsWith('norms.')) weights[i] = initial[i]!;
    expect(weights.map(({ name }) => name).filter((name) => name.startsWith('norm'))).toEqual(
      ['norms.1', 'norms.2', 'norm'].flatMap((name) => [`${name}.weight`, `${name}.bias`]),
    );
    for (const { data, shape } of core.convnextForward('convnext_test', weights, images, true).slice(0, 2)) {
      const [, channels, height, width] = shape as [number, number, number, number];
      for (const cell of [0, height * width - 1]) {
        const values = Array.from({ length: channels }, (_, c) => data[c * height * width + cell]!);
        const mean = values.reduce((total, value) => total + value, 0) / channels;
        expect(Math.abs(mean)).toBeLessThan(1e-5);
        expect(values.reduce((total, value) => total + (value - mean) ** 2, 0) / channels).toBeCloseTo(1, 4);
      }
    }
  });
});

describe('a detector on a pyramid', () => {
  it.each([
    [64, 64],
    [96, 64],
    [320, 224],
    [64, 1024],
  ])('has the maps that lib/model/feature-pyramid.ts says: %i x %i', async (width, height) => {
    const imageSize = { width, height };
    const detector = await addon.createDetector(pyramid({ imageSize }));
    const maps = pyramidMaps(imageSize);
    expect(addon.featureMaps(detector).map(({ width, height }) => ({ width, height }))).toEqual(maps);
    const { defaultBoxes } = pyramid({ imageSize });
    expect(await addon.defaultBoxes(detector)).toEqual(core.defaultBoxes(defaultBoxes, maps, imageSize).data);
    const { counts } = await addon.detect(detector, await batchOf(undefined, imageSize), allDetections);
    expect([...counts]).toEqual([200, 200]);
  });

  it.each(['none', 'fpn'] as const)('trains every parameter: fusion %s', async (fusion) => {
    // One object in the place of a default box of each map.
    const imageSize = { width: 128, height: 128 };
    const detector = await addon.createDetector(pyramid({ imageSize, fusion }));
    const defaultBoxes = await addon.defaultBoxes(detector);
    const first = [0, 16 * 16 * 4, 16 * 16 * 4 + 8 * 8 * 6, 16 * 16 * 4 + 8 * 8 * 6 + 4 * 4 * 4];
    const boxes = first.map((index) => [...defaultBoxes.subarray(4 * index, 4 * index + 4)]);
    const batch = () => batchOf([{ boxes, labels: [1, 2, 3, 1] }], imageSize);
    const gammas = [...(await readFloats(detector, 'model'))].filter(([name]) => name.endsWith('.gamma'));
    const lifted = gammas.map(([name, { length }]) => [name, pattern(name, [length], 0.5, 0.5)] as const);
    await writeFloats(detector, 'model', new Map(lifted));
    const before = await readBytes(detector, 'model');
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
    await addon.trainStep(detector, await batch(), 1e-2);
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([...before.keys()].sort());
  });

  it('trains neck and head, and not the norms of a frozen backbone', async () => {
    const detector = await addon.createDetector(pyramid({ imageSize: { width: 128, height: 128 }, fusion: 'fpn' }));
    const before = await readBytes(detector, 'model');
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: false });
    await addon.trainStep(detector, await batchOf(undefined, { width: 128, height: 128 }), 1e-3);
    const names = changed(before, await readBytes(detector, 'model'));
    expect(names.filter((name) => name.startsWith('backbone.'))).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(['neck.inner_blocks.0.weight', 'neck.extras.0.reduce.weight']));
  });

  it.each(['none', 'fpn'] as const)('computes in bfloat16 near float32: fusion %s', async (fusion) => {
    const scores = async (precision: string) => {
      const detector = await addon.createDetector(pyramid({ fusion, precision }));
      return (await addon.detect(detector, await batchOf(), allDetections)).scores.slice(0, 10);
    };
    const [exact, near] = [await scores('fp32'), await scores('bf16')];
    expect(near).not.toEqual(exact);
    expect(maxDifference(near, exact)).toBeLessThan(0.03);
  });

  it('makes maps of the one of a TorchScript backbone, and takes several as they are', async () => {
    // one_map and tuple_of_maps have their last map at stride 32.
    const sizes = async (name: string) => {
      const defaultBoxes = pyramidDefaultBoxes(pyramidMaps(options.imageSize).slice(name === 'one_map' ? 0 : 1));
      const detector = await addon.createDetector(pyramid({ ...(await scripted(name)), defaultBoxes, fusion: 'fpn' }));
      await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
      await addon.trainStep(detector, await batchOf(), 1e-4);
      return addon.featureMaps(detector).map(({ channels, width }) => [channels, width]);
    };
    expect(await sizes('one_map')).toEqual([
      [8, 8],
      [8, 4],
      [8, 2],
    ]);
    expect(await sizes('tuple_of_maps')).toEqual([
      [6, 4],
      [6, 2],
    ]);
  });

  it('refuses default boxes for another number of maps', async () => {
    const two = pyramid({
      ...(await scripted('one_map')),
      defaultBoxes: pyramidDefaultBoxes(pyramidMaps(options.imageSize).slice(1)),
    });
    await expectError(
      addon.createDetector(two),
      'WEIGHTS_MISMATCH',
      '3 maps (8x8, 4x4, 2x2)',
      '2 lists of aspect ratios',
      'one list per map',
    );
    const wrong = { ...options, features: 'pyramids' as 'pyramid' };
    expect(() => addon.createDetector(wrong)).toThrow('Expected last or pyramid for native features');
  });
});
