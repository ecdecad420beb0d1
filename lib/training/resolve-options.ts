import { withoutUndefined } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { type Chosen, type OptionTable, resolve } from '../base/option.ts';
import type { DetectorConfig, PresetName } from '../model/config.ts';
import type { LearningOptions } from '../model/loss-options.ts';
import { resolveLearning, scoresOf } from '../model/scores.ts';
import { classWeightsOf } from './class-weights.ts';
import { recipeOf } from './dense-recipe.ts';
import type { LearningRateSchedule, ScheduleName } from './learning-rate.ts';
import {
  type OptimizerName,
  type ResolvedTrainerOptions,
  type TrainerOptions,
  type TrainingSituation,
  trainerTable,
} from './trainer-options.ts';

const { train: _, valid: __, outDir: ___, ...withoutData } = trainerTable;

/** What a run is about. */
export interface RunSubject {
  preset: PresetName;
  /** The backbone has weights from a file. */
  pretrained?: boolean;
  /** For training; default: many. */
  images?: number | undefined;
  /** What is known of the model's head, scores and backbone; default: SSD's on a backbone of another kind. */
  model?: Pick<DetectorConfig, 'head' | 'scores'> & Partial<Pick<DetectorConfig, 'backbone'>>;
  /** What the detector was trained on, which holds unless the options say otherwise. */
  learning?: LearningOptions;
}

/**
 * Checks every option and fills in the defaults, the preset's among them; throws `TypeError` or `RangeError` naming the option, also
 * for one that makes no sense beside the others.
 */
export function resolveTrainerOptions(value: TrainerOptions, subject: RunSubject): ResolvedTrainerOptions {
  const resolved = resolveTable(trainerTable, value, { ...subject, images: value?.train?.length });
  checkWithData(resolved);
  return resolved;
}

type WithoutData = Omit<TrainerOptions, 'train' | 'valid' | 'outDir'>;

/** The same of all that needs no data. */
export function resolveRun(
  value: WithoutData,
  subject: RunSubject,
): Omit<ResolvedTrainerOptions, 'train' | 'valid' | 'outDir'> {
  return resolveTable(withoutData, value, subject);
}

function resolveTable(table: OptionTable, value: WithoutData, subject: RunSubject): ResolvedTrainerOptions {
  const { preset, learning, model = {} } = subject;
  const given = isObject(value) ? { ...learning, ...withoutUndefined(value) } : value;
  const all = resolve(table, given, { preset, situation: (chosen) => situationOf(chosen, subject) });
  const part = (kept: boolean) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => (table[name]!.kept ?? false) === kept));
  const resolved = { ...part(false), run: part(true) } as unknown as ResolvedTrainerOptions;
  if (!resolved.resume) checkTogether(resolved, (value.milestones ?? undefined) !== undefined); // else the run was checked when it began
  resolveLearning(resolved.run, model);
  return resolved;
}

function isObject(value: unknown): boolean {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** What the computed defaults depend on. Nothing is checked yet: what is wrong is refused under its own name afterwards. */
function situationOf(chosen: Chosen, subject: RunSubject): TrainingSituation {
  const { pretrained = false, images = Number.POSITIVE_INFINITY, model = {} } = subject;
  const fineTune = chosen('fineTune') === true;
  const recipe = recipeOf({ pretrained, fineTune, images });
  const number = (name: string) => (chosen(name, { recipe }) ?? 1) as number;
  const [epochs, imagesOfStep] = [number('epochs'), number('batchSize') * number('accumulate')];
  return {
    recipe,
    backbone: model.backbone ?? 'torchscript',
    imagesOfStep,
    optimizer: chosen('optimizer') as OptimizerName,
    epochs,
    steps: epochs * stepsOfEpoch(images, imagesOfStep),
    schedule: (chosen('schedule', { recipe }) as ScheduleName | undefined) ?? 'multistep',
    fineTune,
    pretrained,
    scores: scoresOf(model),
  };
}

function stepsOfEpoch(images: number, imagesOfStep: number): number {
  return Math.ceil(images / imagesOfStep);
}

/** The schedule of a run. */
export function scheduleOf({ train, epochs, run }: ResolvedTrainerOptions): LearningRateSchedule {
  return {
    name: run.schedule ?? 'multistep',
    base: run.learningRate,
    milestones: run.milestones,
    gamma: run.gamma,
    steps: stepsOfEpoch(train.length, run.batchSize * (run.accumulate ?? 1)),
    epochs,
    warmupSteps: run.warmupSteps ?? 0,
    flatFraction: run.flatFraction ?? 0.5,
    finalFactor: run.finalLearningRateFactor ?? 0,
  };
}

function refuseIf(wrong: boolean, message: string): void {
  if (wrong) throw new RangeError(message);
}

/** Throws `RangeError` for options that exclude each other. */
function checkTogether({ epochs, run }: Pick<ResolvedTrainerOptions, 'epochs' | 'run'>, ownMilestones: boolean): void {
  const name = run.schedule ?? 'multistep';
  const late = run.milestones.filter((milestone) => milestone > epochs);
  refuseIf(
    ownMilestones && late.length > 0,
    `milestones past the end: ${late.join(', ')} of ${epochs} epochs; leave them out or train for more epochs`,
  );
  const [cosine, flat] = [name !== 'multistep', name === 'flat-cosine'];
  refuseIf(
    cosine && run.milestones.length > 0,
    `milestones belong to the schedule multistep, and this one is ${name}; leave one of them out`,
  );
  refuseIf(
    (!flat && run.flatFraction !== undefined) || (!cosine && run.finalLearningRateFactor !== undefined),
    `flatFraction belongs to the schedule flat-cosine and finalLearningRateFactor to cosine and flat-cosine, but the schedule is ${name}`,
  );
  for (const key of ['backboneLearningRateFactor', 'layerDecay', 'dropPath'] as const) {
    refuseIf(
      run[key] !== undefined && !run.fineTune,
      `${key} is about the training of the backbone, which is frozen; add fineTune (--fine-tune) or leave ${key} out`,
    );
  }
}

/** The same for options that the data exclude. */
function checkWithData(resolved: ResolvedTrainerOptions): void {
  if (!resolved.train.samples.some(({ objects }) => objects.length > 0)) {
    throw new DetectorError(
      'DATASET_EMPTY',
      `None of the ${resolved.train.length} training images has an object: there is nothing to learn. Look where the annotations are`,
    );
  }
  const { epochs, patience, train, valid, resume, run } = resolved;
  if (run.classWeights) classWeightsOf(run.classWeights, train);
  const { steps, warmupSteps } = scheduleOf(resolved);
  const total = steps * epochs;
  refuseIf(
    warmupSteps >= total && !resume, // which may end a run early
    `warmupSteps (${warmupSteps}) leave nothing of the run, which has ${total} steps (${epochs} x ${steps}): ` +
      'shorten the warm-up or train for more epochs',
  );
  refuseIf(
    patience !== undefined && !valid.samples.some(({ objects }) => objects.length > 0),
    'patience needs a score to wait for, but no image of valid has an object; give other validation data or leave patience out',
  );
}
