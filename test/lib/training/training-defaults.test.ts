import { describe, expect, it } from 'vitest';
import { resolveRun } from '../../../lib/training/resolve-options.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';

/** What a run of so many steps has by default: an image is a step. */
function defaults(preset: 'article' | 'ssd', steps: number, more: Partial<TrainerOptions> = {}, pretrained = false) {
  return resolveRun({ epochs: 1, batchSize: 1, ...more }, { preset, pretrained, images: steps }).run;
}

it("are the article's for the preset article", () => {
  const run = defaults('article', 1000, { epochs: 20 });
  expect(run).toMatchObject({ fineTune: false, learningRate: 1e-4, milestones: [15], clipGradNorm: null });
  expect(run).not.toHaveProperty('warmupSteps');
});

it('warm up for a twentieth of a run, 500 steps at most, with the preset ssd', () => {
  const warmup = (steps: number) => defaults('ssd', steps).warmupSteps;
  expect([1, 9, 10, 1000, 10_000, 1e6].map(warmup)).toEqual([0, 0, 1, 50, 500, 500]);
});

it('lower the rate for the last quarter of the epochs with the preset ssd', () => {
  const milestones = (epochs: number) => defaults('ssd', 1000, { epochs }).milestones;
  expect([1, 4, 20, 50].map(milestones)).toEqual([[1], [3], [15], [38]]);
});

it('slow a backbone with weights of its own down, but not a frozen one', () => {
  expect(defaults('ssd', 1000)).not.toHaveProperty('backboneLearningRateFactor');
  expect(defaults('ssd', 1000, {}, true)).toMatchObject({ backboneLearningRateFactor: 0.1 });
  expect(defaults('ssd', 1000, { fineTune: false }, true)).not.toHaveProperty('backboneLearningRateFactor');
});

it('give way to null, which unsets what the preset has', () => {
  const unset = {
    clipGradNorm: null,
    warmupSteps: null,
    milestones: null,
    backboneLearningRateFactor: null,
    fineTune: null,
  };
  const run = defaults('ssd', 1000, unset, true);
  expect(run).toMatchObject({ clipGradNorm: null, milestones: [], fineTune: false });
  expect(run).not.toHaveProperty('warmupSteps');
  expect(run).not.toHaveProperty('backboneLearningRateFactor');
  expect(defaults('ssd', 1000).clipGradNorm).toBe(10);
  expect(defaults('article', 1000, { learningRate: null, ema: null })).toMatchObject({ learningRate: 1e-3 });
});

describe('the recipes of the preset dense', () => {
  const dense = (images: number, more: Partial<TrainerOptions> = {}, pretrained = true, backbone = 'convnext_tiny') => {
    const model = { head: 'dense', backbone } as const;
    const { run, epochs } = resolveRun(more, { preset: 'dense', pretrained, images, model: model as never });
    return { ...run, epochs };
  };

  it("from random weights are the preset ssd's, with twice the rate", () => {
    const run = dense(1000, {}, false);
    expect(run).toMatchObject({ epochs: 20, learningRate: 2e-3, milestones: [15], warmupSteps: 125, clipGradNorm: 10 });
    for (const key of ['schedule', 'ema', 'layerDecay', 'dropPath', 'weightDecay', 'augmentation'])
      expect(run[key as keyof typeof run] ?? 'multistep').toBe('multistep');
    expect(run).not.toHaveProperty('backboneLearningRateFactor');
  });

  it('with a backbone of its own and few images take their time, and jitter the scale', () => {
    const run = dense(500);
    expect(run).toMatchObject({
      ...{ epochs: 100, learningRate: 2e-4, schedule: 'flat-cosine', finalLearningRateFactor: 0.05, milestones: [] },
      ...{ weightDecay: 0.05, decayWeightsOnly: true, layerDecay: 0.8, clipGradNorm: 10, dropPath: 0.1, ema: 0.999 },
      ...{ warmupSteps: 315, augmentation: { scaleJitter: { p: 1, scaleRange: [0.5, 2] }, offForLast: 0.1 } },
    });
    expect(run.augmentation).not.toHaveProperty('mosaic');
    expect(run).not.toHaveProperty('backboneLearningRateFactor');
    expect(dense(100).ema).toBe(0.99); // 1,300 steps
  });

  it('and many images add mosaics and colours, until near the end', () => {
    const run = dense(20_000, { batchSize: 16, accumulate: 4 }, true, 'convnext_base');
    expect(run).toMatchObject({ epochs: 50, learningRate: 5e-4, dropPath: 0.4, ema: 0.9998, warmupSteps: 783 });
    expect(run.augmentation).toMatchObject({ mosaic: { p: 0.5 }, photometricDistort: {}, offForLast: 0.15 });
    expect(dense(1e6).warmupSteps).toBe(1000);
  });

  it.each<[string, Partial<TrainerOptions>, object]>([
    ['another schedule', { schedule: 'multistep' }, { milestones: [75] }],
    ['a cosine', { schedule: 'cosine' }, { finalLearningRateFactor: 0.05, milestones: [] }],
    ['SGD', { optimizer: 'sgd' }, { learningRate: 2e-4 }],
    ['a frozen backbone', { fineTune: false }, { epochs: 20, learningRate: 2e-3, milestones: [15] }],
    ['other epochs', { epochs: 10 }, { epochs: 10, warmupSteps: 32 }],
    ['no augmentation', { augmentation: 'none', ema: null, dropPath: null }, { schedule: 'flat-cosine' }],
  ])('go with %s', (_, more, expected) => {
    expect(dense(500, more)).toMatchObject(expected);
  });

  it('leave out what only a ConvNeXt has on a backbone of another kind', () => {
    const run = dense(500, {}, true, 'torchscript');
    expect(run).not.toHaveProperty('layerDecay');
    expect(run).not.toHaveProperty('dropPath');
  });
});
