import { describe, expect, it } from 'vitest';

import type { StatePart } from '../../../lib/binding.ts';
import {
  addon,
  allDetections,
  batchOf,
  changed,
  oneStep,
  options,
  readBytes,
  readFloats,
  trained,
  writeFloats,
} from '../detectors.ts';
import { expectClose, loadTestAddon, pattern, tensor } from '../support.ts';

const testAddon = await loadTestAddon();

describe('the moving average', () => {
  it('by hand: the decay warms up as (1 + n) / (10 + n) until it is reached', () => {
    const { averages, state } = testAddon.movingAverage(
      tensor([1, 0], [2]),
      [4, 4, 8].map((value) => tensor([value, 0], [2])),
      0.24,
    );
    // Decays 2/11, 3/12 -> .24, .24.
    const first = (2 * 1 + 9 * 4) / 11;
    const second = 0.24 * first + 0.76 * 4;
    const expected = [first, second, 0.24 * second + 0.76 * 8];
    expectClose(
      averages.map(({ data }) => data[0]!),
      expected,
      1e-6,
    );
    for (const { data } of averages) expect(data[1]).toBe(0);
    expect(state.map(({ name, tensor }) => [name, ...tensor.data])).toEqual([
      ['w.trained', 8, 0],
      ['average.updates', 3],
    ]);
  });

  it('is the closed form of a recursion in float64', () => {
    const values = Array.from({ length: 50 }, (_, step) => pattern(`step ${step}`, [3, 5], 2));
    const start = pattern('start', [3, 5], 2);
    const { averages } = testAddon.movingAverage(start, values, 0.9);
    let expected = [...start.data];
    values.forEach(({ data }, i) => {
      const decay = Math.min(0.9, (2 + i) / (11 + i));
      expected = expected.map((value, place) => decay * value + (1 - decay) * data[place]!);
    });
    expectClose(averages.at(-1)!.data, expected, 1e-6);
  });

  it('of decay 0 is the last value', () => {
    const value = pattern('value', [4], 2);
    expect(testAddon.movingAverage(pattern('start', [4], 2), [value], 0).averages).toEqual([value]);
  });
});

describe('the moving average of a detector', () => {
  const training = { optimizer: 'adamw', fineTune: true };

  it('is in the model; the trained weights are those of a run without it, bit for bit', async () => {
    const plain = await trained(training, 3);
    const averaged = await trained({ ...training, emaDecay: 0.2 }, 3);
    expect(averaged.results).toEqual(plain.results);
    const state = await readBytes(averaged.detector, 'optimizer');
    const model = await readBytes(plain.detector, 'model');
    expect([...model].filter(([name, bytes]) => !bytes.equals(state.get(`${name}.trained`)!))).toEqual([]);

    const name = 'head.classification_head.module_list.0.weight';
    const steps = [0, 1, 2, 3].map(
      async (count) => (await readFloats((await trained(training, count)).detector, 'model')).get(name)!,
    );
    const [start, ...values] = await Promise.all(steps);
    let expected = [...start!];
    for (const [i, decay] of [2 / 11, 0.2, 0.2].entries()) {
      expected = expected.map((value, place) => decay * value + (1 - decay) * values[i]![place]!);
    }
    expectClose((await readFloats(averaged.detector, 'model')).get(name)!, expected, 1e-6);
  });

  it('is what detection computes with, copies of the weights in bfloat16 included', async () => {
    const detector = await addon.createDetector({ ...options, precision: 'bf16' });
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true, emaDecay: 0.9 });
    const seen = async () => (await addon.detect(detector, await batchOf(), allDetections)).scores;
    const before = await seen();
    await oneStep(detector, await batchOf(), 1e-2);
    const after = await seen();
    expect(after).not.toEqual(before);
    expect(await seen()).toEqual(after);
  });

  it('goes on from a saved state as if never interrupted', async () => {
    const given = { ...training, emaDecay: 0.99, dropPath: 0.5 };
    const whole = await trained(given, 4);
    const half = await trained(given, 2);
    const { detector: resumed } = await trained(given, 0);
    for (const part of ['model', 'optimizer'] as const) {
      const infos = await addon.describeState(half.detector, part);
      const values = await readFloats(half.detector, part);
      await writeFloats(
        resumed,
        part,
        new Map(infos.map(({ name, shape }) => [name, { data: values.get(name)!, shape }])),
      );
    }
    const batch = await batchOf();
    const results = [2, 3].map((seed) => oneStep(resumed, batch, 1e-3, seed));
    expect(await Promise.all(results)).toEqual(whole.results.slice(2));
    for (const part of ['model', 'optimizer'] as const) {
      expect(changed(await readBytes(whole.detector, part), await readBytes(resumed, part))).toEqual([]);
    }
  });

  it('and the trained weights stay as they were when a step fails', async () => {
    const { detector } = await trained({ ...training, emaDecay: 0.9 }, 2);
    await oneStep(detector, await batchOf(), 1e30);
    const parts = () => Promise.all(['model', 'optimizer'].map((part) => readBytes(detector, part as StatePart)));
    const before = await parts();
    await expect(oneStep(detector, await batchOf(), 1e-3)).rejects.toThrow('not finite');
    const after = await parts();
    expect(before.map((part, i) => changed(part, after[i]!))).toEqual([[], []]);
  });
});
