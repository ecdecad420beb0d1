import { type Command, Option } from 'commander';
import { withoutUndefined } from '../../base/check.ts';
import { type ScheduleName, scheduleNames } from '../../training/learning-rate.ts';
import type { TrainerOptions } from '../../training/trainer-options.ts';
import { fraction, integer, nonNegativeNumber, oneOf, positiveNumber } from './option-values.ts';

export interface OptimisationFlags {
  schedule?: ScheduleName;
  warmup?: number;
  weightDecay?: number;
  decayWeightsOnly?: true;
  backboneLrFactor?: number;
  layerDecay?: number;
  accumulate?: number;
  clipGradNorm?: number;
  ema?: number;
  dropPath?: number;
  patience?: number;
}

/** Adds the options that say how weights are stepped; all of them are explained in `TrainerOptions`. */
export function addOptimisationOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--schedule <name>', `${scheduleNames.join(', ')} (default: multistep)`).argParser(
        oneOf(scheduleNames),
      ),
    )
    .option(
      '--warmup <steps>',
      'steps in which the learning rate rises from a thousandth (default: a twentieth of the run, 500 at most; preset article: 0)',
      integer(0),
    )
    .option(
      '--weight-decay <number>',
      'how much of the weights a step takes away (default: 0.01 for AdamW, 0 for SGD)',
      nonNegativeNumber,
    )
    .option('--decay-weights-only', 'no weight decay of biases, norms and layer scales')
    .option(
      '--backbone-lr-factor <number>',
      "the backbone's share of the learning rate (default: 1, and 0.1 with --weights; preset article: 1)",
      positiveNumber,
    )
    .option(
      '--layer-decay <number>',
      'factor of the learning rate from each ConvNeXt layer to the one before (default: 1)',
      fraction,
    )
    .option('--accumulate <n>', 'batches for one step of the optimizer (default: 1)', integer(1))
    .option(
      '--clip-grad-norm <number>',
      'largest norm of all gradients together (default: 10; preset article: none)',
      positiveNumber,
    )
    .option('--ema <decay>', 'keep, evaluate and save a moving average of the weights (default: none)', fraction)
    .option('--drop-path <rate>', 'stochastic depth: rate of the last ConvNeXt block (default: 0)', fraction)
    .option('--patience <epochs>', 'stop after so many without a better score (default: never)', integer(1));
}

/** The flags that were given, under the names of the library. */
export function optimisationOptions(flags: OptimisationFlags): Partial<TrainerOptions> {
  const { schedule, weightDecay, decayWeightsOnly, layerDecay, accumulate, clipGradNorm, ema, dropPath, patience } =
    flags;
  const options = {
    ...{ schedule, weightDecay, decayWeightsOnly, layerDecay, accumulate, clipGradNorm, ema, dropPath, patience },
    warmupSteps: flags.warmup,
    backboneLearningRateFactor: flags.backboneLrFactor,
  };
  return withoutUndefined(options);
}
