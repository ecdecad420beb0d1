import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { resolveTrainerOptions, scheduleOf } from '../../../lib/training/resolve-options.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import { squareClasses, writeSquares } from '../../support/squares.ts';
import { vocXml, writeFiles } from '../../support/voc.ts';

let train: VocDataset;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  await writeSquares(folder, 10);
  train = await open(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const open = (folder: string) =>
  VocDataset.open({ images: `${folder}/images`, annotations: `${folder}/labels`, classes: squareClasses });
const resolve = (given: Partial<TrainerOptions>) =>
  resolveTrainerOptions({ train, valid: train, outDir: 'run', batchSize: 4, ...given }, { preset: 'article' });

describe('resolveTrainerOptions', () => {
  it("has the article's defaults, and no key of an option that was not given", () => {
    expect(resolveTrainerOptions({ train, valid: train, outDir: 'run' }, { preset: 'article' })).toEqual({
      ...{ train, valid: train, outDir: 'run', epochs: 20, decodeConcurrency: 2, plots: true, resume: false },
      ...{ saveEvery: { minutes: 10 }, keep: 0, maxFailedSaves: 3, allowChangedData: false },
      run: {
        ...{ batchSize: 8, learningRate: 1e-4, milestones: [15], gamma: 0.1, optimizer: 'adamw', fineTune: false },
        ...{ flipProbability: 0.5, clipGradNorm: null, seed: 42 },
      },
    });
  });

  it('has the defaults of the preset ssd, which give way to what is given', () => {
    const given = { train, valid: train, outDir: 'run', batchSize: 1, epochs: 10 };
    const best = (more: Partial<TrainerOptions>, pretrained = false) =>
      resolveTrainerOptions({ ...given, ...more }, { preset: 'ssd', pretrained }).run;
    expect(best({})).toMatchObject({ fineTune: true, warmupSteps: 5, milestones: [8] });
    expect(best({}, true)).toMatchObject({ backboneLearningRateFactor: 0.1 });
    expect(best({ fineTune: false }, true)).not.toHaveProperty('backboneLearningRateFactor');
    expect(best({ milestones: [4] })).toMatchObject({ milestones: [4] });
    expect(best({ schedule: 'cosine' })).toMatchObject({ schedule: 'cosine', milestones: [] });
    const own = { learningRate: 0.5, warmupSteps: 0, schedule: 'flat-cosine' } as const;
    expect(best(own)).toMatchObject(own);
    expect(best({ learningRate: undefined } as never)).toMatchObject({ learningRate: best({}).learningRate });
  });

  it('has the defaults of the preset ssd for dense from random weights too, but for a higher rate', () => {
    const given = { train, valid: train, outDir: 'run', batchSize: 1, epochs: 10 };
    const of = (preset: 'ssd' | 'dense') => {
      const model = presetConfig(preset, 'convnext_test', { width: 64, height: 64 });
      return resolveTrainerOptions(given, { preset, pretrained: false, model }).run;
    };
    const { backgroundNegatives: _, ...ssd } = of('ssd');
    expect(of('dense')).toEqual({ ...ssd, learningRate: 2e-3 });
  });

  it('keeps what is given', () => {
    const own = {
      schedule: 'flat-cosine',
      ...{ warmupSteps: 5, flatFraction: 0.7, finalLearningRateFactor: 0.05 },
      ...{ weightDecay: 0.05, decayWeightsOnly: true, backboneLearningRateFactor: 0.1, layerDecay: 0.8 },
      ...{ accumulate: 2, ema: 0.99, dropPath: 0.1 },
    } as const;
    const { run, ...rest } = resolve({ ...own, fineTune: true, patience: 3, overlapEvaluation: false });
    expect(run).toMatchObject({ ...own, milestones: [] });
    expect(rest).toMatchObject({ patience: 3, overlapEvaluation: false });
    expect(run).not.toHaveProperty('overlapEvaluation');
  });

  it('a step has the images of all its batches', () => {
    const schedule = scheduleOf(resolve({ accumulate: 2, epochs: 3, schedule: 'cosine', warmupSteps: 5 }));
    expect(schedule).toMatchObject({ name: 'cosine', steps: 2, epochs: 3, warmupSteps: 5, finalFactor: 0 });
  });

  it.each<[string, Partial<Record<keyof TrainerOptions, unknown>>, string]>([
    ['a wrong schedule', { schedule: 'cosin' }, 'did you mean "cosine"'],
    ['a warm-up of half a step', { warmupSteps: 0.5 }, 'warmupSteps'],
    ['a negative decay', { weightDecay: -1 }, 'weightDecay'],
    ['a layer decay above 1', { layerDecay: 1.5 }, 'layerDecay'],
    ['no batch at all', { accumulate: 0 }, 'accumulate'],
    ['an average that never moves', { ema: 1 }, 'ema'],
    ['to drop every block', { dropPath: 1 }, 'dropPath'],
    ['no patience', { patience: 0 }, 'patience'],
    ['NaN', { backboneLearningRateFactor: Number.NaN }, 'backboneLearningRateFactor'],
    ['a word', { overlapEvaluation: 'no' }, 'Expected boolean for overlapEvaluation'],
    ['a string', { decayWeightsOnly: 'yes' }, 'Expected boolean for decayWeightsOnly'],
  ])('refuses %s', (_, given, message) => {
    expect(() => resolve(given as Partial<TrainerOptions>)).toThrow(message);
  });

  it.each<[string, Partial<TrainerOptions>, string]>([
    [
      'a warm-up as long as the run',
      { epochs: 2, warmupSteps: 6 },
      'warmupSteps (6) leave nothing of the run, which has 6',
    ],
    [
      'milestones past the end',
      { epochs: 4, milestones: [3, 5] },
      'milestones past the end: 5 of 4 epochs; leave them out',
    ],
    ['milestones of a cosine', { schedule: 'cosine', milestones: [3] }, 'belong to the schedule multistep'],
    ['a flat part without one', { schedule: 'cosine', flatFraction: 0.5 }, 'flatFraction belongs to'],
    ['an end without a cosine', { finalLearningRateFactor: 0.5 }, 'finalLearningRateFactor to cosine'],
    ['drop path in a frozen backbone', { dropPath: 0.1 }, 'frozen; add fineTune'],
    ['layer decay in a frozen backbone', { layerDecay: 0.9 }, 'leave layerDecay out'],
    ['a rate for a frozen backbone', { backboneLearningRateFactor: 0.1 }, 'backboneLearningRateFactor'],
  ])('refuses together %s', (_, given, message) => {
    expect(() => resolve(given)).toThrow(RangeError);
    expect(() => resolve(given)).toThrow(message);
  });

  it('takes the default milestone in a shorter run, and those of a run that is resumed', () => {
    expect(resolve({ epochs: 2 }).run.milestones).toEqual([15]);
    expect(resolve({ epochs: 2, milestones: [15], resume: true }).run.milestones).toEqual([15]);
    expect(resolve({ epochs: 3, milestones: [3] }).run.milestones).toEqual([3]);
  });

  it('refuses patience where nothing can be scored', async () => {
    const background = join(folder, 'background');
    await writeFiles(background, { 'images/a.png': await image(), 'labels/a.xml': vocXml('') });
    const valid = await open(background);
    expect(() => resolve({ valid, patience: 3 })).toThrow('no image of valid has an object');
    expect(resolve({ valid }).patience).toBeUndefined();
  });
});

function image(): Promise<Buffer> {
  return sharp({ create: { width: 96, height: 64, channels: 3, background: 'grey' } })
    .png()
    .toBuffer();
}
