import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import type { DetectorHandle, NativeDetectorOptions, StatePart, TrainingOptions } from '../../../lib/binding.ts';
import { fixture } from '../../support/shared.ts';
import { temporaryFolder } from '../../support/voc.ts';
import { addon, allDetections, batchOf, changed, options, readBytes } from '../detectors.ts';
import { loadTestAddon, pattern } from '../support.ts';

const core = await loadTestAddon();

const torchscript = await readFile(fixture('native/torchscript/batch_norm.pt'));

/** Each with its model, and the weights that steps leave alone beside the head's spare entries. */
const cases: [string, Partial<NativeDetectorOptions>, TrainingOptions, RegExp][] = [
  ['all that is trained', {}, { optimizer: 'adamw', fineTune: true }, /^$/],
  ['a head beside a frozen backbone', {}, { optimizer: 'sgd', fineTune: false }, /^backbone\./],
  ['copies of the weights in bfloat16', { precision: 'bf16' }, { optimizer: 'adamw', fineTune: true }, /^$/],
  ['the moving average', {}, { optimizer: 'adamw', fineTune: true, emaDecay: 0.5 }, /^$/],
  [
    'the running statistics of a program',
    { backbone: 'torchscript', torchscript },
    { optimizer: 'adamw', fineTune: true, emaDecay: 0.5 },
    /conv\.bias/, // before a batch norm it has no gradient but rounding
  ],
];

const batch = await batchOf();
const detections = (detector: DetectorHandle) => addon.detect(detector, batch, allDetections);
const parts = (detector: DetectorHandle) =>
  Promise.all((['model', 'optimizer'] as StatePart[]).map((part) => readBytes(detector, part)));

/** A detector after two steps, and its next ones. */
async function train(model: Partial<NativeDetectorOptions>, training: TrainingOptions) {
  const detector = await addon.createDetector({ ...options, ...model });
  await addon.startTraining(detector, training);
  const step = (seed: number) => addon.trainStep(detector, batch, 1e-2, seed);
  await step(0);
  await step(1);
  return { detector, step };
}

describe('a snapshot of a detector', () => {
  it.each(cases)('has %s as they were, while the detector is trained on as ever', async (_, model, training, still) => {
    const plain = await train(model, training);
    const undisturbed = [await plain.step(2), await plain.step(3)];

    const { detector, step } = await train(model, training);
    const [expected, found] = [await parts(detector), await detections(detector)];
    const snapshot = await addon.takeSnapshot(detector);
    expect(await detections(snapshot)).toEqual(found);
    const steps = [step(2), detections(snapshot), step(3)] as const;
    expect([await steps[0], await steps[2]]).toEqual(undisturbed);
    expect(await steps[1]).toEqual(found);
    expect(await detections(snapshot)).toEqual(found);
    const kept = await parts(snapshot);
    expect(kept.map((part, i) => changed(part, expected[i]!))).toEqual([[], []]);

    const now = await parts(detector);
    const weights = [...now[0]!.keys()].filter((name) => !/module_list\.[1-5]/.test(name) && !still.test(name));
    expect(changed(now[0]!, kept[0]!)).toEqual(expect.arrayContaining(weights));
    expect(changed(now[1]!, kept[1]!).length).toBeGreaterThan(0);
    expect((await parts(plain.detector)).map((part, i) => changed(part, now[i]!))).toEqual([[], []]);
    expect((await detections(detector)).scores).not.toEqual(found.scores);
    expect(await detections(detector)).toEqual(await detections(plain.detector));
  });

  it('is given up alone, and outlives the detector', async () => {
    const { detector, step } = await train({}, { optimizer: 'adamw', fineTune: true });
    const [first, second] = [await addon.takeSnapshot(detector), await addon.takeSnapshot(detector)];
    const found = await detections(second);
    addon.disposeDetector(first);
    expect(() => detections(first)).toThrow('after dispose');
    await step(2);
    addon.disposeDetector(detector);
    expect(await detections(second)).toEqual(found);
  });

  it('is of a detector in training', async () => {
    const detector = await addon.createDetector(options);
    await expect(addon.takeSnapshot(detector)).rejects.toThrow('before startTraining');
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
    const snapshot = await addon.takeSnapshot(detector);
    await expect(addon.takeSnapshot(snapshot)).rejects.toThrow('before startTraining');
    await expect(addon.trainStep(snapshot, batch, 1e-3)).rejects.toThrow('before startTraining');
    const training = addon.startTraining(snapshot, { optimizer: 'sgd', fineTune: true });
    await expect(training).rejects.toThrow('A snapshot cannot be trained');
  });

  it('is not given another state, which would be that of the detector', async () => {
    const { detector } = await train({}, { optimizer: 'adamw', fineTune: true });
    const snapshot = await addon.takeSnapshot(detector);
    const expected = await parts(detector);
    for (const part of ['model', 'optimizer'] as const) {
      const reading = addon.readState(snapshot, part, 'never', []);
      await expect(reading).rejects.toThrow('A snapshot cannot be given another state');
    }
    expect((await parts(detector)).map((part, i) => changed(part, expected[i]!))).toEqual([[], []]);
  });

  it('is exported with its own weights', async () => {
    const { detector, step } = await train({}, { optimizer: 'adamw', fineTune: true });
    const folder = await temporaryFolder();
    const exported = async (name: string, handle: DetectorHandle) => {
      await addon.writeDetectorScript(handle, join(folder, name), { ...allDetections, classes: ['a', 'b', 'c', 'd'] });
      return core.runScript(join(folder, name), 'forward', [pattern('image', [1, 3, 64, 64])]);
    };
    const before = await exported('before.pt', detector);
    const snapshot = await addon.takeSnapshot(detector);
    await step(2);
    expect(await exported('snapshot.pt', snapshot)).toEqual(before);
    expect(await exported('after.pt', detector)).not.toEqual(before);
  });
});
