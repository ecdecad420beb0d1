import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  checkString,
  withoutUndefined,
  wrongArgument,
} from '../base/check.ts';
import { resolveAugmentation } from '../data/augment/options.ts';
import { checkDataset } from '../data/check-dataset.ts';
import { defaultPreset, type PresetName } from '../model/config.ts';
import { type LearningRateSchedule, scheduleNames } from './learning-rate.ts';
import { optimizerNames, type ResolvedTrainerOptions, type TrainerOptions } from './trainer-options.ts';
import { trainingDefaults } from './training-defaults.ts';

/** What checks each option that has no value of its own unless it is given. */
const optional = {
  schedule: (name, value) => checkOneOf(name, value, scheduleNames),
  warmupSteps: (name, value) => checkInteger(name, value, 0, 1e9),
  flatFraction: (name, value) => checkNumber(name, value, 0, 1),
  finalLearningRateFactor: (name, value) => checkNumber(name, value, 0, 1),
  weightDecay: (name, value) => checkNumber(name, value, 0, 1e6),
  decayWeightsOnly: checkBoolean,
  backboneLearningRateFactor: (name, value) => checkNumber(name, value, 0, 1e6),
  layerDecay: (name, value) => checkNumber(name, value, 0, 1),
  accumulate: (name, value) => checkInteger(name, value, 1, 1024),
  ema: (name, value) => checkNumber(name, value, 0, 1 - 1e-9),
  dropPath: (name, value) => checkNumber(name, value, 0, 0.99),
} satisfies Record<string, (name: string, value: unknown) => unknown>;

type Optional = keyof typeof optional;

const optionalKeys = Object.keys(optional) as Optional[];

const keys = [
  ...[
    'train',
    'valid',
    'outDir',
    'epochs',
    'batchSize',
    'learningRate',
    'milestones',
    'gamma',
    'optimizer',
    'fineTune',
  ],
  ...['flipProbability', 'augmentation', 'clipGradNorm', 'workers', 'seed', 'resume', 'patience', 'overlapEvaluation'],
  ...optionalKeys,
];

/**
 * Checks every option and fills in the defaults, the preset's among them; throws `TypeError` or `RangeError` naming the option, also
 * for one that makes no sense beside the others.
 */
export function resolveTrainerOptions(
  value: TrainerOptions,
  preset: PresetName = defaultPreset,
  pretrained = false,
): ResolvedTrainerOptions {
  const options = checkKeys('options', value, keys) as unknown as TrainerOptions;
  const train = checkDataset('train', options.train);
  const resolved: ResolvedTrainerOptions = {
    train,
    valid: checkDataset('valid', options.valid),
    outDir: checkString('outDir', options.outDir),
    ...resolveRun(options, { preset, pretrained, images: train.length }),
  };
  checkWithData(resolved);
  return resolved;
}

type WithoutData = Omit<TrainerOptions, 'train' | 'valid' | 'outDir'>;

/** What a run is about. */
interface RunSubject {
  preset: PresetName;
  /** The backbone has weights from a file. */
  pretrained: boolean;
  /** For training; default: many. */
  images?: number;
}

/** The same of all that needs no data. */
export function resolveRun(
  given: WithoutData,
  subject: RunSubject,
): Omit<ResolvedTrainerOptions, 'train' | 'valid' | 'outDir'> {
  const options = { ...presetDefaults(given, subject), ...withoutUndefined(given) };
  const augmentation = resolveAugmentation('augmentation', options.augmentation ?? 'none');
  const own = optionalKeys.filter((key) => options[key] !== undefined);
  const resolved = {
    epochs: checkInteger('epochs', options.epochs ?? 20, 1),
    workers: checkInteger('workers', options.workers ?? 2, 1, 256),
    resume: checkBoolean('resume', options.resume ?? false),
    ...(options.patience !== undefined && { patience: checkInteger('patience', options.patience, 1) }),
    ...(options.overlapEvaluation !== undefined && {
      overlapEvaluation: checkBoolean('overlapEvaluation', options.overlapEvaluation),
    }),
    run: {
      batchSize: checkInteger('batchSize', options.batchSize ?? 8, 1, 1024),
      learningRate: checkPositive('learningRate', options.learningRate),
      milestones: checkMilestones(options.milestones),
      gamma: checkPositive('gamma', options.gamma ?? 0.1),
      optimizer: checkOneOf('optimizer', options.optimizer ?? 'adamw', optimizerNames),
      fineTune: checkBoolean('fineTune', options.fineTune),
      flipProbability: checkNumber('flipProbability', options.flipProbability ?? 0.5, 0, 1),
      ...(augmentation && { augmentation }),
      clipGradNorm: options.clipGradNorm === undefined ? null : checkPositive('clipGradNorm', options.clipGradNorm),
      seed: checkInteger('seed', options.seed ?? 42, 0),
      ...Object.fromEntries(own.map((key) => [key, optional[key](key, options[key])])),
    },
  };
  if (!resolved.resume) checkTogether(resolved, given.milestones !== undefined); // else the run was checked when it began
  return resolved;
}

/** What the preset has for options that were not given. */
function presetDefaults(given: WithoutData, { preset, pretrained, images = Number.POSITIVE_INFINITY }: RunSubject) {
  const { epochs = 20, batchSize = 8, accumulate = 1, fineTune = trainingDefaults[preset].fineTune } = given;
  const steps = epochs * stepsOfEpoch(images, batchSize * accumulate);
  const { milestones, ...defaults } = trainingDefaults[preset].options({ epochs, steps, fineTune, pretrained });
  return { fineTune, ...defaults, milestones: (given.schedule ?? 'multistep') === 'multistep' ? milestones : [] };
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
  const { epochs, patience, valid, resume } = resolved;
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

function checkMilestones(value: unknown): number[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument('milestones', 'array of epochs', value));
  return value.map((epoch, i) => checkInteger(`milestones[${i}]`, epoch, 1, 1e6));
}
