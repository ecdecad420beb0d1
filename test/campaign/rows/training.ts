import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../../../lib/data/dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { type Row, repeat, type Trial } from '../row.ts';

/** What changes how a run computes; one of them a try. */
const VARIANTS: Partial<TrainerOptions>[] = [
  {},
  { optimizer: 'sgd', learningRate: 1e-4 },
  { ema: 0.9 },
  { accumulate: 2, batchSize: 2 },
  { augmentation: 'ssd' },
  { schedule: 'cosine', warmupSteps: 2, clipGradNorm: 1 },
  { dropPath: 0.5, layerDecay: 0.8 },
];

const killed = new Error('killed');

async function train(data: Dataset, outDir: string, given: Partial<TrainerOptions>, killAt?: number): Promise<void> {
  const imageSize = { width: 96, height: 64 };
  await using detector = await Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize });
  const base = { train: data, valid: data, outDir, epochs: 2, batchSize: 4, fineTune: true, plots: false };
  let steps = 0;
  const onStep = () => {
    if (++steps === killAt) throw killed;
  };
  const trainer = new Trainer(detector, { ...base, ...given });
  await trainer.run({ onStep }).catch((error: unknown) => {
    if (error !== killed) throw error;
  });
}

async function hashes(outDir: string): Promise<string> {
  const { files } = JSON.parse(await readFile(join(outDir, 'last', 'checkpoint.json'), 'utf8'));
  return JSON.stringify(files);
}

/** Kills a run at a step, goes on, and compares with one that was not killed. `seed` is that of the run that goes on. */
async function resumes(trial: Trial, other: Partial<TrainerOptions> = {}) {
  const data = await openSquares(trial.folder, 8);
  return repeat(trial, async (index) => {
    const given = VARIANTS[index % VARIANTS.length]!;
    const [whole, part] = ['whole', 'part'].map((name) => join(trial.folder, `${name}-${index}`)) as [string, string];
    await train(data, whole, given);
    const killAt = 2 + trial.below(3);
    const saveEvery = { steps: 1 + trial.below(2) };
    await train(data, part, { ...given, ...other, saveEvery }, killAt);
    await train(data, part, { ...given, ...other, resume: true });
    if ((await hashes(whole)) !== (await hashes(part))) throw new Error(`other weights after a kill at step ${killAt}`);
    for (const outDir of [whole, part]) await rm(outDir, { recursive: true });
  });
}

export const trainingRows: Row[] = [
  {
    name: 'resume',
    what: 'a training is killed at a step and resumed: weights and optimizer are those of a run that was not, bit for bit',
    run: (trial) => resumes(trial),
    control: (trial) => resumes(trial, { seed: 7 }),
  },
];
