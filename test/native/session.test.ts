import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DetectorError } from '../../lib/base/errors.ts';
import type { DetectorHandle, NativeDetectorOptions, TrainingOptions } from '../../lib/binding.ts';
import { temporaryFolder } from '../support/voc.ts';
import { addon, allDetections, batchOf, changed, options, readBytes } from './detectors.ts';

const batch = await batchOf();
const adamw: TrainingOptions = { optimizer: 'adamw', fineTune: true };

async function session(more: Partial<NativeDetectorOptions> = {}): Promise<DetectorHandle> {
  return addon.createDetector({ ...options, ...more });
}

/** A session that is trained, and a snapshot of it. */
async function pair() {
  const detector = await session();
  await addon.startTraining(detector, adamw);
  await addon.trainStep(detector, batch, 1e-3, 0);
  return { detector, snapshot: await addon.takeSnapshot(detector) };
}

describe('a session before its training', () => {
  it.each([
    ['trainStep', (one: DetectorHandle) => addon.trainStep(one, batch, 1e-3, 0)],
    ['finishSteps', (one: DetectorHandle) => addon.finishSteps(one)],
    ['takeSnapshot', (one: DetectorHandle) => addon.takeSnapshot(one)],
  ])('refuses %s by name', async (name, call) => {
    await expect(call(await session())).rejects.toThrow(`${name} was called before startTraining`);
  });

  it('has no state of an optimizer', async () => {
    await expect(addon.describeState(await session(), 'optimizer')).rejects.toThrow('before training has started');
  });

  it.each([
    ['softmax', 'focal'],
    ['sigmoid', 'hard-negative'],
  ] as const)('with scores of a %s refuses the class loss %s', async (scores, classification) => {
    const loss = { classification, box: 'smooth-l1', backgroundNegatives: true } as const;
    const training = addon.startTraining(await session({ scores }), { ...adamw, loss });
    await expect(training).rejects.toThrow(scores);
  });
});

describe('a session', () => {
  it('detects without a trace: the weights and the next step are as without', async () => {
    const [plain, other] = [await session(), await session()];
    for (const one of [plain, other]) await addon.startTraining(one, adamw);
    const before = await readBytes(other, 'model');
    await addon.detect(other, batch, allDetections);
    expect(changed(before, await readBytes(other, 'model'))).toEqual([]);
    expect(await addon.trainStep(other, batch, 1e-3, 0)).toEqual(await addon.trainStep(plain, batch, 1e-3, 0));
    expect(changed(await readBytes(plain, 'model'), await readBytes(other, 'model'))).toEqual([]);
  });

  it('begins a training anew: as a first one from the same weights', async () => {
    const [again, first] = [await session(), await session()];
    await addon.startTraining(again, adamw);
    await addon.trainStep(again, batch, 0, 0); // a rate of 0 leaves the weights, and fills the optimizer's averages
    for (const one of [again, first]) {
      await addon.startTraining(one, adamw);
      await addon.trainStep(one, batch, 1e-3, 1);
    }
    expect(changed(await readBytes(first, 'optimizer'), await readBytes(again, 'optimizer'))).toEqual([]);
  });
});

describe('a snapshot is a session that', () => {
  it.each([
    ['is not trained', (one: DetectorHandle) => addon.startTraining(one, adamw)],
    ['takes no step', (one: DetectorHandle) => addon.trainStep(one, batch, 1e-3, 0)],
  ])('%s', async (_, call) => {
    const { snapshot } = await pair();
    await expect(call(snapshot)).rejects.toThrow();
    await expect(addon.detect(snapshot, batch, allDetections)).resolves.toBeDefined();
  });

  it('keeps its state: none is read into it', async () => {
    const { snapshot } = await pair();
    const path = join(await temporaryFolder(), 'state');
    await expect(addon.readState(snapshot, 'model', path, [])).rejects.toThrow('cannot be given another state');
  });

  it('outlives its detector', async () => {
    const { detector, snapshot } = await pair();
    const found = await addon.detect(snapshot, batch, allDetections);
    addon.disposeDetector(detector);
    expect(await addon.detect(snapshot, batch, allDetections)).toEqual(found);
    expect(() => addon.precision(detector)).toThrow(DetectorError);
  });
});
