import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions, LoadOptions } from '../../../lib/detector/detector-options.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import type { StartEvent, StepEvent } from '../../../lib/training/training-events.ts';
import { rewriteManifest } from '../../support/manifests.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError } from '../../support/voc.ts';

let folder: string;
let train: VocDataset;
let runs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  train = await openSquares(folder, 10);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const createDetector = (more: Partial<DetectorOptions> = {}) =>
  Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 }, ...more });

type Given = Partial<TrainerOptions>;
type Place = { epoch: number; step: number };
const short: Given = { batchSize: 4, learningRate: 1e-3, fineTune: true, milestones: [1] };

/** Starts a run, and ends it after the step `until`; without it the run comes to its end. Returns its directory. */
async function start(given: Given, model: Partial<DetectorOptions> = {}, until?: Place): Promise<string> {
  const outDir = join(folder, `run-${++runs}`);
  await using detector = await createDetector(model);
  const abort = new AbortController();
  const onStep = ({ epoch, step }: StepEvent) => {
    if (epoch === until?.epoch && step === until.step) abort.abort();
  };
  const run = new Trainer(detector, { train, valid: train, outDir, ...given }).run({ onStep, signal: abort.signal });
  await (until ? expect(run).rejects.toMatchObject({ name: 'AbortError' }) : run);
  return outDir;
}

/** Goes on with a run, without any option but those given. */
async function resume(outDir: string, given: Given = {}, load: LoadOptions = { asTrained: true }) {
  await using detector = await Detector.load(join(outDir, 'last'), load);
  const warnings: string[] = [];
  let started: StartEvent | undefined;
  const result = await new Trainer(detector, { train, valid: train, outDir, resume: true, ...given }).run({
    onStart: (event) => {
      started = event;
    },
    onWarning: (message) => warnings.push(message),
  });
  return { result, warnings, started: started! };
}

const manifestOf = async (outDir: string, name = 'last') =>
  JSON.parse(await readFile(join(outDir, name, 'checkpoint.json'), 'utf8'));

/** All that a run leaves, without durations. */
async function outcomeOf(outDir: string) {
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return {
    metrics: lines.map((line) => ({ ...JSON.parse(line), seconds: 0 })),
    checkpoints: [await manifestOf(outDir, 'best'), await manifestOf(outDir)],
  };
}

/** Takes out of a manifest what earlier versions did not write into it. */
async function makeOld(outDir: string): Promise<void> {
  await rewriteManifest(join(outDir, 'last'), (manifest) => {
    const { compute: _, data: __, versions: ___, options, ...training } = manifest.training;
    const { epochs: ____, patience: _____, ...kept } = options;
    return { ...manifest, training: { ...training, options: kept } };
  });
}

describe('a run that is resumed without options', () => {
  it.each([
    ['cosine, fp32', { schedule: 'cosine', milestones: [], patience: 9 }, { precision: 'fp32', threads: 1 }],
    ['multistep, bf16', { clipGradNorm: 1, ema: 0.5 }, { precision: 'bf16', threads: 3 }],
  ] as const)('ends bit for bit as one that was not interrupted: %s', async (_, more, model) => {
    const given = { ...short, ...more, epochs: 7 } as Given;
    const whole = await start(given, model);
    const part = await start(given, model, { epoch: 2, step: 2 });
    await writeFile(join(part, 'config.json'), 'is for people');
    (await createDetector({ threads: 2 })).dispose(); // what the process computes with meanwhile is another thing
    const { result, warnings, started } = await resume(part);
    expect(warnings).toEqual([]);
    expect(started).toMatchObject({ options: { epochs: 7, ...more }, epoch: 1, step: 2 });
    expect(result).toMatchObject({ epochs: 7 });
    expect(await outcomeOf(part)).toEqual(await outcomeOf(whole));
    expect((await manifestOf(part)).training).toMatchObject({
      options: { epochs: 7 },
      compute: { device: 'cpu', ...model },
    });
  });

  it('stops early as it would have', async () => {
    const given = { ...short, learningRate: 1e-30, milestones: [], patience: 2, epochs: 9 };
    const outDir = await start(given, {}, { epoch: 2, step: 1 });
    const { result } = await resume(outDir);
    expect(result).toMatchObject({ epochs: 3, bestEpoch: 1, stoppedEarly: true });
  });
});

describe('a run that is resumed with other options', () => {
  let outDir: string;
  beforeAll(async () => {
    outDir = await start({ ...short, epochs: 1 }, { precision: 'bf16', threads: 1 });
  });

  it.each<[string, Given]>([
    ['batchSize', { batchSize: 2 }],
    ['learningRate', { learningRate: 1e-2 }],
    ['schedule', { schedule: 'cosine' }],
    ['warmupSteps', { warmupSteps: 2 }],
    ['milestones', { milestones: [2] }],
    ['gamma', { gamma: 0.5 }],
    ['flatFraction', { flatFraction: 0.5 }],
    ['finalLearningRateFactor', { finalLearningRateFactor: 0.1 }],
    ['optimizer', { optimizer: 'sgd' }],
    ['weightDecay', { weightDecay: 0.1 }],
    ['decayWeightsOnly', { decayWeightsOnly: true }],
    ['fineTune', { fineTune: false }],
    ['backboneLearningRateFactor', { backboneLearningRateFactor: 0.5 }],
    ['layerDecay', { layerDecay: 0.5 }],
    ['accumulate', { accumulate: 2 }],
    ['ema', { ema: 0.5 }],
    ['dropPath', { dropPath: 0.1 }],
    ['flipProbability', { flipProbability: 0.1 }],
    ['augmentation', { augmentation: 'ssd' }],
    ['clipGradNorm', { clipGradNorm: 1 }],
    ['seed', { seed: 1 }],
  ])('is refused where its numbers would be others: %s', async (key, given) => {
    const before = await outcomeOf(outDir);
    await expectError(
      resume(outDir, { epochs: 2, ...given }),
      'CHECKPOINT_MISMATCH',
      `${join(outDir, 'last')} cannot be resumed: its options differ: ${key} was `,
      `Leave ${key} out, or start a new run in another directory`,
    );
    expect(await outcomeOf(outDir)).toEqual(before);
  });

  it('is refused in another precision', async () => {
    await expectError(
      resume(outDir, { epochs: 2 }, { precision: 'fp32' }),
      'CHECKPOINT_MISMATCH',
      'its run computes in bf16, and the detector in fp32',
      `Detector.load(${JSON.stringify(join(outDir, 'last'))}, { asTrained: true })`,
    );
  });

  it('tells of other epochs, another patience and other threads, and keeps them', async () => {
    const given = { epochs: 2, patience: 5 };
    const { result, warnings } = await resume(outDir, given, { precision: 'bf16', threads: 2 });
    expect(result).toMatchObject({ epochs: 2 });
    expect(warnings).toEqual([
      'epochs was 1 and is now 2',
      'patience was not set and is now 5',
      expect.stringContaining('threads 1 and goes on with 2'),
    ]);
    expect(await resume(outDir)).toMatchObject({
      warnings: [],
      started: { options: { epochs: 2, patience: 5 } },
    });
  });

  it('says that a cosine over more epochs bends', async () => {
    const cosine = await start({ ...short, milestones: [], schedule: 'cosine', epochs: 1 });
    const { warnings } = await resume(cosine, { epochs: 2 });
    expect(warnings).toEqual([expect.stringContaining('This changes the learning rate (the schedule cosine spans')]);
  });
});

describe('a run of an earlier version, whose checkpoint does not keep everything', () => {
  const given = { ...short, epochs: 3, patience: 9 };
  const model = { precision: 'bf16', threads: 1 } as const;

  it('ends bit for bit the same where it is given what is missing, and says what it goes on with', async () => {
    const whole = await start(given, model);
    const part = await start(given, model, { epoch: 2, step: 1 });
    await makeOld(part);
    const { warnings } = await resume(part, { epochs: 3, patience: 9 }, model);
    const settings = 'epochs 3, patience 9, device cpu, precision bf16, threads 1';
    expect(warnings).toEqual([expect.stringContaining(`It goes on with ${settings}.`)]);
    expect(await outcomeOf(part)).toEqual(await outcomeOf(whole));
  });

  it('goes on with the defaults where it is not', async () => {
    const part = await start(given, model, { epoch: 1, step: 1 });
    await makeOld(part);
    await using detector = await Detector.load(join(part, 'last'), { asTrained: true, threads: 2 });
    const warnings: string[] = [];
    const enough = new Error('enough');
    const run = new Trainer(detector, { train, valid: train, outDir: part, resume: true }).run({
      onWarning: (message) => warnings.push(message),
      onStart: ({ options }) => {
        expect(options).toMatchObject({ epochs: 20, batchSize: 4 });
        expect(options).not.toHaveProperty('patience');
        throw enough;
      },
    });
    await expect(run).rejects.toBe(enough);
    expect(warnings).toEqual([expect.stringContaining('epochs 20, no patience, device cpu, precision ')]);
  });
});
