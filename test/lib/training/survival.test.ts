import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import type { EpochEvent, StepEvent, TrainingHooks } from '../../../lib/training/training-events.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

let folder: string;
let train: VocDataset;
let runs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  train = await openSquares(folder, 10);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const createDetector = () =>
  Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 } });

const short = { batchSize: 4, learningRate: 1e-3, fineTune: true, milestones: [1], plots: false, epochs: 2 } as const;
const newDirectory = () => join(folder, `run-${++runs}`);

/** Trains until it is done, or until `stop` throws at a step: without a save of its own, as after kill -9. */
async function trainTo(outDir: string, given: Partial<TrainerOptions> = {}, hooks: TrainingHooks = {}) {
  await using detector = await createDetector();
  const warnings: string[] = [];
  const trainer = new Trainer(detector, { train, valid: train, outDir, ...short, ...given });
  const result = await trainer
    .run({ onWarning: (message) => warnings.push(message), ...hooks })
    .catch((error) => error);
  return { result, warnings };
}

const killed = new Error('killed');
const killAt = (epoch: number, step: number) => (event: StepEvent) => {
  if (event.epoch === epoch && event.step === step) throw killed;
};

const manifestOf = async (outDir: string, name = 'last') =>
  JSON.parse(await readFile(join(outDir, name, 'checkpoint.json'), 'utf8'));
const weightsOf = async (outDir: string) => {
  const { files } = await manifestOf(outDir);
  return [files['model.safetensors'].sha256, files['optimizer.safetensors'].sha256];
};

describe('a run that is killed', () => {
  let whole: string;
  beforeAll(async () => {
    whole = newDirectory();
    await trainTo(whole);
  });

  it('goes on from the step that saveEvery saved last, bit for bit', async () => {
    const outDir = newDirectory();
    const saveEvery = { steps: 2 };
    expect((await trainTo(outDir, { saveEvery }, { onStep: killAt(2, 3) })).result).toBe(killed);
    expect((await manifestOf(outDir)).training).toMatchObject({ epoch: 1, step: 2 });
    await trainTo(outDir, { saveEvery, resume: true });
    expect(await weightsOf(outDir)).toEqual(await weightsOf(whole));
  });

  it('saves by the clock, and when it is asked to', async () => {
    const outDir = newDirectory();
    await trainTo(outDir, { saveEvery: { minutes: 1e-9 } }, { onStep: killAt(1, 2) });
    expect((await manifestOf(outDir)).training).toMatchObject({ epoch: 0, step: 1 });

    await using detector = await createDetector();
    const asked = newDirectory();
    const trainer = new Trainer(detector, { train, valid: train, outDir: asked, ...short });
    trainer.requestSave(); // nothing is under way yet
    const onStep = (event: StepEvent) => {
      if (event.step === 1) trainer.requestSave();
      killAt(1, 3)(event);
    };
    await expect(trainer.run({ onStep })).rejects.toBe(killed);
    expect((await manifestOf(asked)).training).toMatchObject({ epoch: 0, step: 1 });
  });

  it.each([false, true])('before its first save begins anew, with resume %s', async (resume) => {
    const outDir = newDirectory();
    await trainTo(outDir, {}, { onStep: killAt(1, 2) });
    await writeFile(join(outDir, '.metrics.jsonl.0123456789ab.tmp'), 'left by the kill');
    const { result, warnings } = await trainTo(outDir, { resume });
    expect(result).toMatchObject({ epochs: 2 });
    expect(warnings).toHaveLength(resume ? 1 : 0);
    expect(await weightsOf(outDir)).toEqual(await weightsOf(whole));
    expect((await readdir(outDir)).filter((name) => name.startsWith('.'))).toEqual([]);
    expect((await readFile(join(outDir, 'results.csv'), 'utf8')).trim().split('\n')).toHaveLength(3);
  });

  it('goes on from the checkpoint before a damaged one, and keeps that aside', async () => {
    const outDir = newDirectory();
    await trainTo(outDir, { saveEvery: { steps: 1 } }, { onStep: killAt(2, 3) });
    const before = await manifestOf(outDir, 'previous');
    expect(before.training).toMatchObject({ epoch: 1, step: 1 });
    await truncate(join(outDir, 'last', 'optimizer.safetensors'), 100);
    const { result, warnings } = await trainTo(outDir, { resume: true });
    expect(result).toMatchObject({ epochs: 2 });
    expect(warnings).toEqual([expect.stringMatching(/has 100 bytes.*Using .*previous instead.*last\.damaged$/)]);
    expect(existsSync(join(outDir, 'last.damaged', 'checkpoint.json'))).toBe(true);
    expect(await weightsOf(outDir)).toEqual(await weightsOf(whole));
  });
});

it('goes on where its last is damaged meanwhile', async () => {
  const outDir = newDirectory();
  const onEpoch = ({ epoch }: EpochEvent) =>
    epoch === 1 ? truncate(join(outDir, 'last', 'checkpoint.json'), 50) : undefined;
  expect((await trainTo(outDir, {}, { onEpoch })).result).toMatchObject({ epochs: 2 });
  expect((await manifestOf(outDir)).training).toMatchObject({ epoch: 2 });
  expect(await readdir(outDir)).toContain('last.damaged');
});

describe('one writer', () => {
  it('refuses a directory in which another run trains, and a detector that another Trainer trains', async () => {
    await using other = await createDetector();
    await using detector = await createDetector();
    const outDir = newDirectory();
    const options = { train, valid: train, outDir, ...short, epochs: 1 };
    const refusals: Promise<void>[] = [];
    const onStart = () => {
      const elsewhere = { ...options, outDir: newDirectory() };
      refusals.push(expectError(new Trainer(other, options).run(), 'IN_USE', outDir, String(process.pid)));
      refusals.push(expectError(new Trainer(detector, elsewhere).run(), 'IN_USE', 'another Trainer'));
    };
    await new Trainer(detector, options).run({ onStart });
    await Promise.all(refusals);
    expect(refusals).toHaveLength(2);
    await new Trainer(detector, { ...options, resume: true, epochs: 2 }).run();
  });
});

describe('a disk that fails', () => {
  it('does not end a training, which saves again as soon as it can', async () => {
    const outDir = newDirectory();
    const blocked = join(outDir, 'last');
    const onStep = async ({ epoch, step }: StepEvent) => {
      if (epoch === 1 && step === 1) await writeFile(blocked, 'a file where the directory is to be');
      if (epoch === 2 && step === 1) await rm(blocked);
    };
    const { result, warnings } = await trainTo(outDir, {}, { onStep: onStep as never });
    expect(result).toMatchObject({ epochs: 2 });
    expect(warnings).toEqual([
      expect.stringMatching(/^THE CHECKPOINT COULD NOT BE SAVED \(1 of 3 times in a row\)/),
      'The checkpoint could be saved again.',
    ]);
    expect((await manifestOf(outDir)).training).toMatchObject({ epoch: 2 });
  });

  it('ends it after maxFailedSaves failures, with the error of the last one', async () => {
    const outDir = newDirectory();
    const onStep = (() => writeFile(join(outDir, 'last'), 'in the way')) as never;
    const { result, warnings } = await trainTo(outDir, { epochs: 9, maxFailedSaves: 2 }, { onStep });
    expect(result).toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    expect(result.message).toContain('Saving failed 2 of 2 times in a row: the training ends');
    expect(warnings).toHaveLength(1);
  });

  it('keeps the best epoch that is saved, where a better one cannot be', async () => {
    const outDir = newDirectory();
    await mkdir(outDir, { recursive: true });
    await writeFile(join(outDir, 'best'), 'in the way');
    await trainTo(outDir, { epochs: 1 });
    expect((await manifestOf(outDir)).training).toMatchObject({ epoch: 1, bestScore: null, bestEpoch: null });
  });

  it.skipIf(process.platform !== 'linux')(
    'is not taken for a damaged image: the run ends where it can go on',
    async () => {
      const data = await temporaryFolder();
      const own = await openSquares(data, 10);
      const outDir = newDirectory();
      const image = own.samples[3]!.imagePath;
      const content = await readFile(image);
      const given = { train: own, valid: own, epochs: 1 };
      await rm(image);
      await symlink('/proc/self/mem', image); // reading from its beginning gives EIO
      const { result } = await trainTo(outDir, given);
      expect(result).toMatchObject({ code: 'IO_ERROR', name: 'DetectorError' });
      expect(result.message).toContain(image);
      await rm(image);
      await writeFile(image, content);
      expect((await trainTo(outDir, { ...given, resume: true })).result).toMatchObject({ epochs: 1 });
      const plain = newDirectory();
      await trainTo(plain, given);
      expect(await weightsOf(outDir)).toEqual(await weightsOf(plain));
    },
  );
});

describe('an evaluation without some of its images', () => {
  it('does not choose the best epoch', async () => {
    const data = await temporaryFolder();
    const valid = await openSquares(data, 10);
    const image = valid.samples[0]!.imagePath;
    const content = await readFile(image);
    const events: EpochEvent[] = [];
    const onEpoch = async (event: EpochEvent) => {
      events.push(event);
      if (event.epoch === 1) await rm(image);
      if (event.epoch === 2) await writeFile(image, content);
    };
    const outDir = newDirectory();
    const { warnings } = await trainTo(outDir, { valid, epochs: 12, milestones: [] }, { onEpoch });
    expect(events[1]).toMatchObject({ best: false, bestEpoch: 1 });
    expect(warnings.at(-1)).toContain('1 of 10 validation images could not be read: epoch 2 cannot be compared');
    expect(events.slice(2).some(({ best }) => best)).toBe(true);
  });
});

describe('a run that is resumed with other data', () => {
  it('is refused with what differs, unless that is allowed', async () => {
    const outDir = newDirectory();
    await trainTo(outDir, { epochs: 1 });
    const fewer = await openSquares(await temporaryFolder(), 9);
    const other = { train: fewer, resume: true, epochs: 2 };
    const { result } = await trainTo(outDir, other);
    expect(result).toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
    expect(result.message).toContain('its data set has changed since: train had 10 images and has 9');
    const allowed = await trainTo(outDir, { ...other, allowChangedData: true });
    expect(allowed.result).toMatchObject({ epochs: 2 });
    expect(allowed.warnings).toContainEqual(expect.stringContaining('train had 10 images and has 9'));
  });

  it('is not refused where the folder has another name', async () => {
    const outDir = newDirectory();
    await trainTo(outDir, { epochs: 1 });
    const moved = await openSquares(await temporaryFolder(), 10);
    const { result, warnings } = await trainTo(outDir, { train: moved, valid: moved, resume: true, epochs: 2 });
    expect(result).toMatchObject({ epochs: 2 });
    expect(warnings).toEqual(['epochs was 1 and is now 2']);
  });
});

it('keeps a checkpoint of each of the newest epochs', async () => {
  const outDir = newDirectory();
  await trainTo(outDir, { keep: 2, epochs: 3 });
  expect((await readdir(outDir)).filter((name) => name.startsWith('epoch-'))).toEqual(['epoch-0002', 'epoch-0003']);
  expect((await manifestOf(outDir, 'epoch-0002')).training).toMatchObject({ epoch: 2 });
  (await Detector.load(join(outDir, 'epoch-0002'))).dispose();
});
