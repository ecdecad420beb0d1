import type { PresetName } from '../model/config.ts';
import type { TrainerOptions } from './trainer-options.ts';

/** What the defaults of a run depend on, beside the preset. */
export interface TrainingSituation {
  epochs: number;
  /** Of the optimizer, in the whole run. */
  steps: number;
  fineTune: boolean;
  /** The backbone has weights from a file. */
  pretrained: boolean;
}

type Defaults = Omit<TrainerOptions, 'train' | 'valid' | 'outDir' | 'resume'> & {
  learningRate: number;
  milestones: number[];
};

/** The shorter of the usual 500 steps (MMDetection) and a twentieth of the run. */
const warmupSteps = (steps: number) => Math.min(500, Math.round(steps / 20));

/**
 * How a detector of a preset is trained where the Trainer's options say nothing: `article` as the article does, `best` as measured by
 * test/bench/ablation (docs/results.md).
 */
export const trainingDefaults: Record<
  PresetName,
  { fineTune: boolean; options(situation: TrainingSituation): Defaults }
> = {
  article: {
    fineTune: false,
    options: () => ({ learningRate: 1e-4, milestones: [15] }),
  },
  best: {
    fineTune: true,
    options: ({ epochs, steps, fineTune, pretrained }) => ({
      learningRate: 1e-3,
      clipGradNorm: 10,
      milestones: [Math.max(1, Math.round(0.75 * epochs))],
      warmupSteps: warmupSteps(steps),
      ...(fineTune && pretrained && { backboneLearningRateFactor: 0.1 }),
    }),
  },
};
