import { expect, it } from 'vitest';
import { trainingDefaults } from '../../../lib/training/training-defaults.ts';

const situation = { epochs: 20, steps: 1000, fineTune: true, pretrained: false };

it("are the article's for the preset article", () => {
  expect(trainingDefaults.article.fineTune).toBe(false);
  expect(trainingDefaults.article.options(situation)).toEqual({ learningRate: 1e-4, milestones: [15] });
});

it('warm up for a twentieth of a run, 500 steps at most, with the preset best', () => {
  const warmup = (steps: number) => trainingDefaults.best.options({ ...situation, steps }).warmupSteps;
  expect([1, 9, 10, 1000, 10_000, 1e6].map(warmup)).toEqual([0, 0, 1, 50, 500, 500]);
});

it('lower the rate for the last quarter of the epochs with the preset best', () => {
  const milestones = (epochs: number) => trainingDefaults.best.options({ ...situation, epochs }).milestones;
  expect([1, 4, 20, 50].map(milestones)).toEqual([[1], [3], [15], [38]]);
});

it('slow a backbone with weights of its own down, but not a frozen one', () => {
  const { options } = trainingDefaults.best;
  expect(options(situation)).not.toHaveProperty('backboneLearningRateFactor');
  expect(options({ ...situation, pretrained: true })).toMatchObject({ backboneLearningRateFactor: 0.1 });
  expect(options({ ...situation, pretrained: true, fineTune: false })).not.toHaveProperty('backboneLearningRateFactor');
});
