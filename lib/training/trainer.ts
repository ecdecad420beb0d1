import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { withoutUndefined } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { PURPOSE, random } from '../base/random.ts';
import type { NativeAddon, StepResult, TrainingOptions } from '../binding.ts';
import { DataLoader, meanColour } from '../data/data-loader.ts';
import { openCheckpoint, saveCheckpoint } from '../detector/checkpoint.ts';
import { type Detector, describeModel, filesOf, internalsOf } from '../detector/detector.ts';
import { readState, writeState } from '../detector/model-state.ts';
import { checkSameClasses, Evaluator } from '../evaluation/evaluator.ts';
import type { DetectorConfig } from '../model/config.ts';
import type { TensorInfo } from '../weights/safetensors.ts';
import { learningRateAt } from './learning-rate.ts';
import { OverlappedEvaluation } from './overlapped-evaluation.ts';
import { groupKeys, parameterOptions } from './parameter-groups.ts';
import { PendingSteps } from './pending-steps.ts';
import { resolveTrainerOptions, scheduleOf } from './resolve-options.ts';
import { type EpochRecord, RunDirectory, type StepRecord } from './run-directory.ts';
import type { ResolvedTrainerOptions, RunOptions, TrainerOptions } from './trainer-options.ts';
import {
  checkHooks,
  type EpochEvent,
  type StepEvent,
  type TrainingHooks,
  type TrainingResult,
} from './training-events.ts';
import {
  addStep,
  finishEpoch,
  freshState,
  isExhausted,
  meanLosses,
  nextEpoch,
  readTrainingState,
  type TrainingState,
} from './training-state.ts';

/** Trains a detector on a data set. */
export class Trainer {
  readonly #detector: Detector;
  readonly #given: TrainerOptions;
  #options: ResolvedTrainerOptions;

  /** Throws `TypeError` or `RangeError` for a wrong option; touches no file. */
  constructor(detector: Detector, options: TrainerOptions) {
    this.#detector = detector;
    this.#given = options;
    this.#options = this.#resolve(options);
  }

  /** What is done, with the defaults that the detector's preset has; of a run that is resumed, once it runs. */
  get options(): RunOptions & { epochs: number } {
    const { epochs, run } = this.#options;
    return structuredClone({ epochs, ...run });
  }

  /**
   * Runs the remaining epochs. In `outDir`: `best/` and `last/` (checkpoints), `metrics.jsonl`, `results.csv`, `train_loss.png`,
   * `map.png`, `config.json`.
   *
   * Rejects with what a hook throws, with the signal's reason, and with `DetectorError`: `LOSS_NOT_FINITE` (its message shows the
   * parts of the loss; detector and `last` have the last good weights), `OUT_OF_MEMORY` (the same), `OUTPUT_NOT_WRITABLE`,
   * `DATASET_EMPTY`, and `CHECKPOINT_MISMATCH`, `CHECKPOINT_NOT_FOUND` or `CHECKPOINT_CORRUPT` with `resume`.
   * An evaluation beside a step that fails is finished first, and its epoch saved.
   */
  async run(hooks: TrainingHooks = {}): Promise<TrainingResult> {
    const { onStep, onEpoch, onEvaluate, onWarning, signal } = checkHooks(hooks);
    const began = performance.now();
    const { addon, handle } = internalsOf(this.#detector);
    const last = this.#options.resume ? await this.#openLast() : undefined;
    const { train, valid, outDir, epochs, patience, run } = this.#options;
    for (const dataset of [train, valid]) checkSameClasses(this.#detector, dataset);
    await addon.startTraining(
      handle,
      nativeOptions(run, this.#detector.config, await addon.describeState(handle, 'model')),
    );
    const { state, directory } = last ? await this.#goOn(last) : await this.#begin();
    const { loader, evaluator } = this.#openData(addon);
    const schedule = scheduleOf(this.#options);
    const pending = new PendingSteps();
    const tell = async (results: StepResult[]) => {
      for (const step of pending.finish(results)) {
        addStep(state, step.step, step);
        const event = { epoch: state.epoch + 1, epochs, steps: loader.length, ...step };
        await directory.appendMetrics(stepRecord(event));
        onStep?.(event);
      }
    };
    const goesOn = () => state.epoch < epochs && !isExhausted(state, patience);
    const { overlapEvaluation: overlap = this.#detector.device !== 'cpu' } = this.#options;
    let told = '';
    const evaluations = new OverlappedEvaluation(this.#detector, { overlap, onWarning });

    try {
      while (goesOn()) {
        const epochBegan = performance.now();
        const firstStep = state.epoch * loader.length;
        const rateAt = (step: number) => learningRateAt(schedule, firstStep + step);
        const at = { epoch: state.epoch + 1, epochs, steps: loader.length };

        for await (const batch of loader.epoch(state.epoch, state.step, { onWarning, signal })) {
          const stepBegan = performance.now();
          const learningRate = rateAt(batch.index);
          const seed = random(run.seed, state.epoch, batch.index, PURPOSE.dropPath) * 2 ** 32;
          const results = await addon.trainStep(handle, batch.handle, learningRate, seed);
          const images = batch.samples.length;
          pending.begin({ step: batch.index + 1, learningRate, images, seconds: secondsSince(stepBegan) });
          await tell(results);
          signal?.throwIfAborted();
          evaluations.throwIfFailed();
        }
        while (pending.length > 0) await tell(await addon.finishSteps(handle));
        const refusal = await addon.graphRefusal(handle);
        if (refusal !== told)
          onWarning?.(`Steps are not given to the GPU as one graph, which changes no result: ${refusal}`);
        told = refusal;

        const means = meanLosses(state);
        await evaluations.finish(); // of the epoch before, which says what is the best so far
        const trained = nextEpoch(state);
        await evaluations.start(trained, goesOn(), async (detector) => {
          const onProgress = (done: number, total: number) => onEvaluate?.({ epoch: at.epoch, done, total });
          const evaluation = await evaluator.evaluate(detector, { onProgress, onWarning, signal });
          const score = evaluation.torchmetrics;
          const best = finishEpoch(trained, score.map);
          const { bestScore, bestEpoch } = trained as { bestScore: number; bestEpoch: number };
          Object.assign(state, { bestScore, bestEpoch });
          const rates = { learningRate: rateAt(loader.length - 1), nextLearningRate: rateAt(loader.length) };
          const seconds = secondsSince(epochBegan);
          const event = { ...at, ...means, ...score, evaluation, ...rates, best, bestScore, bestEpoch, seconds };
          await directory.appendMetrics(epochRecord(event));
          if (best) await this.#save('best', detector, trained);
          await this.#save('last', detector, trained);
          await directory.writePlots();
          await onEpoch?.(event);
        });
        signal?.throwIfAborted();
      }
    } catch (error) {
      const unfinished = await evaluations.settle();
      if (signal?.aborted || [error, unfinished?.error].some(leavesGoodWeights)) {
        // A step that failed has changed nothing.
        if (!unfinished) await tell(await addon.finishSteps(handle).catch(() => []));
        const { detector, state: reached } = unfinished ?? { detector: this.#detector, state };
        await this.#save('last', detector, reached);
      }
      throw error;
    } finally {
      evaluations.dispose();
      await addon.releaseMemory();
    }
    const { bestEpoch, bestScore } = state as { bestScore: number; bestEpoch: number };
    const result = {
      epochs: Math.min(epochs, state.epoch),
      bestEpoch,
      bestScore,
      outDir,
      seconds: secondsSince(began),
    };
    return state.epoch < epochs ? { ...result, stoppedEarly: true } : result;
  }

  /** The training images in batches of a step's size, and the judge of an epoch. */
  #openData(addon: NativeAddon): { loader: DataLoader; evaluator: Evaluator } {
    const { train, valid, epochs, workers, run } = this.#options;
    const { imageSize: size, mean } = this.#detector.config;
    const { batchSize, accumulate = 1, seed, flipProbability } = run;
    const augmentation = run.augmentation && { transforms: run.augmentation, epochs, fill: meanColour(mean) };
    const shuffle = { seed, flipProbability, augmentation };
    const loader = new DataLoader(addon, train, { size, batchSize: batchSize * accumulate, workers, shuffle });
    return { loader, evaluator: new Evaluator(valid, { batchSize, workers }) };
  }

  #resolve(options: TrainerOptions, preset = this.#detector.config.preset): ResolvedTrainerOptions {
    const { pretrained } = internalsOf(this.#detector);
    const resolved = resolveTrainerOptions(options, preset, pretrained);
    checkBackboneOptions(this.#detector, resolved.run);
    return resolved;
  }

  async #begin(): Promise<{ state: TrainingState; directory: RunDirectory }> {
    const { outDir, run, epochs, patience } = this.#options;
    const directory = await RunDirectory.open(outDir);
    const { device, precision } = this.#detector;
    await directory.writeConfig({
      ...describeModel(this.#detector),
      training: { epochs, ...(patience !== undefined && { patience }), ...run },
      device,
      precision,
    });
    return { state: freshState(run), directory };
  }

  /** The run to go on with: its options are those of this one, where none are given. */
  async #openLast(): Promise<TrainingRun> {
    const path = join(this.#options.outDir, 'last');
    const checkpoint = await openCheckpoint(path);
    const { classes, model } = checkpoint.manifest;
    const current = describeModel(this.#detector);
    checkSame(path, 'classes', classes, current.classes);
    checkSame(path, 'model', model, current.model);
    if (!checkpoint.manifest.training) throw mismatch(path, 'it was not written by a training run');
    const training = readTrainingState(path, checkpoint.manifest.training);
    const kept = Object.entries(training.options).filter(([, value]) => value !== null);
    try {
      // With no defaults but the article's, which are absent too: what that run did without, this one does without.
      this.#options = this.#resolve({ ...Object.fromEntries(kept), ...withoutUndefined(this.#given) }, 'article');
    } catch (error) {
      throw mismatch(path, messageOf(error));
    }
    checkSame(path, 'options', training.options, this.#options.run);
    return { checkpoint, state: training };
  }

  /** Reads the weights and the optimizer of that run into the detector. */
  async #goOn({ checkpoint, state }: TrainingRun): Promise<{ state: TrainingState; directory: RunDirectory }> {
    const { addon, handle } = internalsOf(this.#detector);
    await readState(addon, handle, 'model', checkpoint.path('model.safetensors'));
    await readState(addon, handle, 'optimizer', checkpoint.path('optimizer.safetensors'));
    const { epoch, step } = state;
    return { state, directory: await RunDirectory.open(this.#options.outDir, { resume: { epoch, step } }) };
  }

  async #save(name: 'best' | 'last', detector: Detector, state: TrainingState): Promise<void> {
    const { addon, handle } = internalsOf(detector);
    const files = filesOf(detector);
    const optimizer = (path: string) => writeState(addon, handle, 'optimizer', path);
    const content = { ...describeModel(detector), training: state };
    const all = name === 'last' ? { ...files, 'optimizer.safetensors': optimizer } : files;
    await saveCheckpoint(join(this.#options.outDir, name), content, all);
  }
}

interface TrainingRun {
  checkpoint: Awaited<ReturnType<typeof openCheckpoint>>;
  state: TrainingState;
}

function nativeOptions(
  run: RunOptions,
  { loss, assigner }: Pick<DetectorConfig, 'loss' | 'assigner'>,
  tensors: readonly TensorInfo[],
): TrainingOptions {
  const { optimizer, fineTune, clipGradNorm, accumulate = 1, ema, dropPath } = run;
  const grouped = groupKeys.some((key) => run[key] !== undefined);
  return {
    optimizer,
    fineTune,
    ...(loss && { loss }),
    ...(assigner && { assigner }),
    ...(clipGradNorm !== null && { clipGradNorm }),
    ...(grouped && { parameters: parameterOptions(tensors, run) }),
    ...(accumulate > 1 && { microBatchSize: run.batchSize }),
    ...(ema !== undefined && { emaDecay: ema }),
    ...(dropPath !== undefined && { dropPath }),
  };
}

/** Layers and blocks are known of a ConvNeXt alone. */
function checkBackboneOptions(detector: Detector, run: RunOptions): void {
  if (detector.config.backbone !== 'torchscript') return;
  for (const key of ['layerDecay', 'dropPath'] as const) {
    if (run[key] === undefined) continue;
    throw new RangeError(`${key} needs a ConvNeXt, and this detector has a TorchScript backbone; leave ${key} out`);
  }
}

function stepRecord({ epochs: _, images: __, ...event }: StepEvent): StepRecord {
  return { type: 'step', ...event };
}

function epochRecord({ epochs: _, evaluation, ...event }: EpochEvent): EpochRecord {
  const { coco, voc2007, voc2010, perClass, bySide } = evaluation;
  return { type: 'epoch', ...event, coco: coco.stats, voc2007, voc2010, perClass, bySide };
}

/** What ends a step leaves the weights as they were before it. */
function leavesGoodWeights(error: unknown): boolean {
  return error instanceof DetectorError && ['LOSS_NOT_FINITE', 'OUT_OF_MEMORY'].includes(error.code);
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

function checkSame(dir: string, what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  const [before, now] = [found, expected] as [Record<string, unknown>, Record<string, unknown>];
  const key = Object.keys({ ...now, ...before }).find((key) => !isDeepStrictEqual(before[key], now[key]))!;
  const [old, value] = [before[key], now[key]].map((value) => JSON.stringify(value));
  throw mismatch(dir, `its ${what} differ: ${key} was ${old} and is now ${value}`);
}

function mismatch(dir: string, what: string): DetectorError {
  const remedy = 'Resume with the options that the run was started with, or start a new one';
  return new DetectorError('CHECKPOINT_MISMATCH', `${dir} cannot be resumed: ${what}. ${remedy}`);
}
