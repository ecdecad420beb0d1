import { Command } from 'commander';
import { expect, it } from 'vitest';
import {
  addOptimisationOptions,
  type OptimisationFlags,
  optimisationOptions,
} from '../../../../lib/cli/options/optimisation-flags.ts';

function read(line: string) {
  const command = addOptimisationOptions(new Command()).parse(line.split(' ').filter(Boolean), { from: 'user' });
  return optimisationOptions(command.opts<OptimisationFlags>());
}

it('gives every flag its name in the library', () => {
  const line =
    '--schedule Cosine --warmup 20 --weight-decay 0 --decay-weights-only --backbone-lr-factor 0.1 --layer-decay 0.8 ' +
    '--accumulate 4 --clip-grad-norm 1.5 --ema 0.99 --drop-path 0.1 --patience 3';
  expect(read(line)).toEqual({
    ...{ schedule: 'cosine', warmupSteps: 20, weightDecay: 0, decayWeightsOnly: true },
    ...{ backboneLearningRateFactor: 0.1, layerDecay: 0.8, accumulate: 4, clipGradNorm: 1.5 },
    ...{ ema: 0.99, dropPath: 0.1, patience: 3 },
  });
});

it('gives nothing that was not asked for', () => {
  expect(read('')).toEqual({});
});
