import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import type { DetectorHandle } from '../../../lib/binding.ts';
import { fixture } from '../../support/shared.ts';
import { addon, allDetections, batchOf, oneStep, options, readFloats, writeFloats } from '../detectors.ts';
import { loadTestAddon, pattern } from '../support.ts';

const test = await loadTestAddon();
const scripted = { backbone: 'torchscript', torchscript: await readFile(fixture('native/torchscript/one_map.pt')) };

// The initial layer scale of 1e-6 would hide the blocks, where most of the computing is.
async function create(more: Partial<typeof options> = {}): Promise<DetectorHandle> {
  const detector = await addon.createDetector({ ...options, ...more });
  const gammas = [...(await readFloats(detector, 'model'))].filter(([name]) => name.endsWith('.gamma'));
  await writeFloats(
    detector,
    'model',
    new Map(gammas.map(([name, { length }]) => [name, pattern(name, [length], 0.5, 0.5)])),
  );
  return detector;
}

async function scores(detector: DetectorHandle): Promise<Float32Array> {
  return (await addon.detect(detector, await batchOf(), allDetections)).scores;
}

const largestDifference = (found: Float32Array, expected: Float32Array) =>
  Math.max(...found.map((score, i) => Math.abs(score - expected[i]!)));

async function step(detector: DetectorHandle) {
  return oneStep(detector, await batchOf(), 1e-2);
}

describe('precision', () => {
  it('is settled when the detector is made', async () => {
    const settled = async (precision: string) => addon.precision(await create({ precision }));
    expect([await settled('fp32'), await settled('bf16')]).toEqual(['fp32', 'bf16']);
    const bf16 = addon.levers().find(({ name }) => name === 'bf16')!;
    expect(await settled('auto')).toBe(bf16.active ? 'bf16' : 'fp32');
    await expect(create({ precision: 'fp8' })).rejects.toThrow('unknown precision "fp8"');
  });

  it.each([
    ['a ConvNeXt', {}],
    ['TorchScript', scripted],
  ])('bf16 computes %s in bfloat16, near float32', async (_, model) => {
    const [exact, near] = [await create({ ...model }), await create({ ...model, precision: 'bf16' })];
    const best = async (detector: DetectorHandle) => (await scores(detector)).slice(0, 10);
    const [expected, found] = [await best(exact), await best(near)];
    expect(found).not.toEqual(expected);
    expect(largestDifference(found, expected)).toBeLessThan(0.02);
  });

  it.each([
    ['a ConvNeXt', {}],
    ['TorchScript', scripted],
  ])('bf16 trains %s as float32 does, with float32 weights', async (_, model) => {
    const [exact, near] = [await create({ ...model }), await create({ ...model, precision: 'bf16' })];
    for (const detector of [exact, near]) await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
    for (let i = 0; i < 3; i++) {
      const [expected, found] = [await step(exact), await step(near)];
      expect(found.loss).not.toBe(expected.loss);
      expect(Math.abs(found.loss / expected.loss - 1)).toBeLessThan(0.02);
      expect(Math.abs(found.gradientNorm / expected.gradientNorm - 1)).toBeLessThan(0.1);
    }
    for (let i = 0; i < 3; i++) expect((await scores(near)).length).toBeGreaterThan(0);
    const state = await addon.describeState(near, 'model');
    expect(state.filter(({ dtype }) => dtype !== 'F32' && dtype !== 'I64')).toEqual([]);
  });

  it('bf16 keeps no weight that has changed since', async () => {
    const precision = 'bf16';
    const [detector, fresh] = [await create({ precision }), await create({ precision, seed: 2 })];
    const before = await scores(detector);
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
    await step(detector);
    const trained = await scores(detector);
    expect(trained).not.toEqual(before);

    await scores(fresh);
    const weights = await addon.describeState(detector, 'model');
    const values = await readFloats(detector, 'model');
    await writeFloats(
      fresh,
      'model',
      new Map(weights.map(({ name, shape }) => [name, { data: values.get(name)!, shape }])),
    );
    expect(await scores(fresh)).toEqual(trained);
  });
});

describe('threads', () => {
  it('change the time and, but for rounding, nothing else', async () => {
    const expected = await scores(await create());
    await addon.setThreads(3);
    const found = await scores(await create());
    await addon.setThreads(1);
    expect(largestDifference(found, expected)).toBeLessThan(1e-5);
  });
});

describe('products of float32', () => {
  it.each([
    ['fp32', 'cuda', [0, 0]],
    ['bf16', 'cuda:1', [1, 1]],
    ['auto', 'cuda', [1, 1]],
  ])('%s on %s: TF32 for matrices and convolutions %j, and as before afterwards', (precision, device, expected) => {
    const [before, during, after] = test.float32Products(precision, device);
    expect(during).toEqual(expected);
    expect(after).toEqual(before);
  });

  it('are left as they are for the CPU', () => {
    const [before, during] = test.float32Products('auto', 'cpu');
    expect(during).toEqual(before);
  });
});
