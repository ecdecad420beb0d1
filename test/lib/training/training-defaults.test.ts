import { expect, it } from 'vitest';
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
