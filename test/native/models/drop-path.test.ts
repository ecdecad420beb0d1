import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import { addon, allDetections, batchOf, oneStep, options, weighted } from '../detectors.ts';
import { dropPath, expectClose, type MapShape } from '../kernels/blocks.ts';
import { pattern, type Tensor, tensor } from '../support.ts';

const shape: MapShape = { images: 6, channels: 16, height: 5, width: 3 };

/** 1 for each sample that the block has changed. */
function keptOf(output: Tensor, { images, channels, height, width }: MapShape): number[] {
  const x = pattern('x', [images, channels, height, width], 2);
  const size = x.data.length / images;
  return Array.from({ length: images }, (_, sample) => {
    const range = [sample * size, (sample + 1) * size] as const;
    const same = output.data.subarray(...range).every((value, i) => value === x.data[range[0] + i]);
    return same ? 0 : 1;
  });
}

describe('drop path', () => {
  it.each([1, 2, 3, 4])('has the output and gradients of the masked block in float64: seed %i', (seed) => {
    const found = dropPath('float32', shape, 0.4, seed);
    const mask = tensor(keptOf(found.get('output')!, shape), [shape.images]);
    expectClose(found, dropPath('float64', shape, 0.4, mask), 2e-5);
    expectClose(dropPath('bfloat16', shape, 0.4, seed), dropPath('float64', shape, 0.4, mask), 0.1);
  });

  it('keeps all of them at rate 0, and none of them now and then', () => {
    const all = dropPath('float32', shape, 0, 1);
    expect(keptOf(all.get('output')!, shape)).toEqual([1, 1, 1, 1, 1, 1]);
    expectClose(all, dropPath('float64', shape, 0, tensor([1, 1, 1, 1, 1, 1], [6])), 2e-5);
    const one = { ...shape, images: 1 };
    const outputs = Array.from({ length: 20 }, (_, seed) => dropPath('float32', one, 0.9, seed).get('output')!);
    expect(outputs.map((output) => keptOf(output, one)[0])).toEqual(expect.arrayContaining([0, 1]));
  });

  it('depends on the seed, and drops the share that it is told to', () => {
    expect(dropPath('float32', shape, 0.5, 7)).toEqual(dropPath('float32', shape, 0.5, 7));
    const many = { images: 200, channels: 8, height: 1, width: 1 };
    const kept = [1, 2, 3, 4, 5].map((seed) => keptOf(dropPath('float32', many, 0.3, seed).get('output')!, many));
    expect(kept[0]).not.toEqual(kept[1]);
    const share = kept.flat().reduce((sum, each) => sum + each, 0) / 1000;
    expect(Math.abs(share - 0.7)).toBeLessThan(0.06); // four standard deviations
  });
});

describe('drop path of a detector', () => {
  const losses = async (seeds: number[], rate?: number) => {
    const detector = await weighted();
    const training = { optimizer: 'sgd', fineTune: true, ...(rate !== undefined && { dropPath: rate }) };
    await addon.startTraining(detector, training);
    const found: number[] = [];
    for (const seed of seeds) found.push((await oneStep(detector, await batchOf(), 0, seed)).loss);
    return found;
  };

  it('depends on the seed of the step alone, and a rate of 0 is none', async () => {
    const [a, b, again] = (await losses([1, 2, 1], 0.9)) as [number, number, number];
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    const [plain] = await losses([1]);
    expect(plain).not.toBe(a);
    expect(await losses([1, 2], 0)).toEqual([plain, plain]);
  });

  it('is for training alone', async () => {
    const detector = await addon.createDetector(options);
    const batch = await batchOf();
    const before = await addon.detect(detector, batch, allDetections);
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true, dropPath: 0.9 });
    await oneStep(detector, batch, 0);
    expect(await addon.detect(detector, batch, allDetections)).toEqual(before);
  });

  it('has no place in a TorchScript backbone', async () => {
    const torchscript = await readFile(new URL('../../fixtures/native/torchscript/one_map.pt', import.meta.url));
    const detector = await addon.createDetector({ ...options, backbone: 'torchscript', torchscript });
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true, dropPath: 0.5 });
    await expect(oneStep(detector, await batchOf(), 1e-3)).rejects.toThrow('no residual blocks');
  });
});
