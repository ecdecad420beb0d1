import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import type { NativeAddon } from '../binding.ts';
import { DataLoader, fillColour } from '../data/data-loader.ts';
import { copyCheckpoint, saveCheckpoint } from '../detector/checkpoint.ts';
import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import { LAST, PREVIOUS, putAside } from '../detector/history.ts';
import { describeModel, filesOf } from '../detector/model-files.ts';
import { readState, writeState } from '../detector/model-state.ts';
import { dataOf } from './data-fingerprint.ts';
import { secondsSince } from './elapsed.ts';
import { type LearningRateSchedule, learningRateAt } from './learning-rate.ts';
import { sizeOfStep, trainingSizes } from './multiscale.ts';
import { nativeOptions } from './native-options.ts';
import { scheduleOf } from './resolve-options.ts';
import type { RunClaim } from './run-claim.ts';
import { computeOf, versionsOf } from './run-compute.ts';
import { RunDirectory } from './run-directory.ts';
import { RunWrites } from './run-writes.ts';
import type { SavedRun } from './saved-run.ts';
import { writeSettings } from './settings.ts';
import type { ResolvedTrainerOptions } from './trainer-options.ts';
import type { TrainingHooks, TrainingResult } from './training-events.ts';
import {
  freshState,
  isExhausted,
  keptOptions,
  meanLosses,
  nextEpoch,
  type RunState,
  type TrainedEpoch,
  type TrainingState,
} from './training-state.ts';

/** A run that is under way: a detector in training, how far it has come, and the directory that it writes. */
export class TrainingRun {
  readonly detector: Detector;
  readonly options: ResolvedTrainerOptions;
  /** Counts the steps whose results are known. The detector has the weights after them once no result is waited for. */
  readonly state: RunState;
  readonly directory: RunDirectory;
  /** Writes that the run survives. */
  readonly writes: RunWrites;
  /** When `last` was saved, by `performance.now()`. */
  lastSavedAt = performance.now();
  readonly #schedule: LearningRateSchedule;
  readonly #addon: NativeAddon;
  readonly #claim: RunClaim;

  private constructor(
    detector: Detector,
    options: ResolvedTrainerOptions,
    state: RunState,
    directory: RunDirectory,
    { claim, onWarning }: Hooks,
  ) {
    this.detector = detector;
    this.options = options;
    this.state = state;
    this.directory = directory;
    this.#schedule = scheduleOf(options);
    this.#addon = internalsOf(detector).addon;
    this.#claim = claim;
    this.writes = new RunWrites(options.maxFailedSaves, onWarning);
  }

  /** Begins a run with the weights that the detector has. */
  static async begin(detector: Detector, options: ResolvedTrainerOptions, hooks: Hooks): Promise<TrainingRun> {
    await startTraining(detector, options);
    await hooks.claim.lock(options.outDir);
    const directory = await RunDirectory.open(options.outDir);
    const { device, precision } = detector;
    await directory.writeConfig({ ...describeModel(detector), training: keptOptions(options), device, precision });
    await writeSettings(detector, options);
    const state = { ...freshState(keptOptions(options)), ...(await circumstancesOf(detector, options)) };
    return new TrainingRun(detector, options, state, directory, hooks);
  }

  /** Goes on with a run: the detector gets its weights, and its optimizer's state. */
  static async resume(
    detector: Detector,
    options: ResolvedTrainerOptions,
    { checkpoint, state: saved }: SavedRun,
    hooks: Hooks,
  ): Promise<TrainingRun> {
    const { addon, handle } = internalsOf(detector);
    const state = { ...saved, options: keptOptions(options), ...(await circumstancesOf(detector, options)) };
    await startTraining(detector, options);
    await readState(addon, handle, 'model', checkpoint.path('model.safetensors'));
    await readState(addon, handle, 'optimizer', checkpoint.path('optimizer.safetensors'));
    const directory = await RunDirectory.open(options.outDir, { resume: { epoch: state.epoch, step: state.step } });
    return new TrainingRun(detector, options, state, directory, hooks);
  }

  get stepsOfEpoch(): number {
    return this.#schedule.steps;
  }

  /** Whether another epoch is to be trained, as far as is known: a better score may still be on its way. */
  get goesOn(): boolean {
    return this.state.epoch < this.options.epochs && !isExhausted(this.state, this.options.patience);
  }

  /** The rate of a step; both count from 0, and the step after an epoch's last one is the next epoch's first. */
  learningRate(epoch: number, step: number): number {
    return learningRateAt(this.#schedule, epoch * this.stepsOfEpoch + step);
  }

  /** The training images in batches of a step's size. */
  openLoader(): DataLoader {
    const { train, epochs, decodeConcurrency: workers, run } = this.options;
    const { imageSize, resize } = this.detector.config;
    const { batchSize, accumulate = 1, seed, flipProbability, multiscale } = run;
    const sizes = multiscale && trainingSizes(imageSize, multiscale);
    const size = sizes ? (epoch: number, step: number) => sizeOfStep(sizes, { seed, epoch, step }) : imageSize;
    const augmentation = run.augmentation && {
      transforms: run.augmentation,
      epochs,
      fill: fillColour(this.detector.config),
    };
    const shuffle = { seed, flipProbability, augmentation };
    const { addon } = internalsOf(this.detector);
    return new DataLoader(addon, train, { size, resize, batchSize: batchSize * accumulate, workers, shuffle });
  }

  /** Ends the epoch that began at `began`: from here on `state` is the next one's. */
  endEpoch(began: number): TrainedEpoch {
    const losses = meanLosses(this.state);
    return { state: nextEpoch(this.state), losses, began };
  }

  /**
   * Throws unless the weights of `detector` are those of `state`. A snapshot keeps its weights. The detector that is trained has those
   * of this run's state, and, until the first step of the next epoch, those of the epoch's end.
   */
  checkWeights(detector: Detector, state: TrainingState): void {
    if (detector !== this.detector || state === this.state || this.state.step === 0) return;
    const [then, now] = [state, this.state].map(({ epoch, step }) => `step ${step} after epoch ${epoch}`);
    throw new Error(`The weights are those of ${now}, and not those of ${then}`);
  }

  /**
   * Saves a detector, this run's or a snapshot of it, with the state that its weights are of. The `last` before it is `previous`
   * afterwards.
   */
  async save(name: 'best' | 'last', detector: Detector, state: TrainingState): Promise<void> {
    this.checkWeights(detector, state);
    const { outDir } = this.options;
    if (name === LAST) await this.#keepPrevious();
    const { addon, handle } = internalsOf(detector);
    const optimizer = (path: string) => writeState(addon, handle, 'optimizer', path);
    const files = { ...filesOf(detector), ...(name === 'last' && { 'optimizer.safetensors': optimizer }) };
    await saveCheckpoint(join(outDir, name), { ...describeModel(detector), training: state }, files);
    if (name === LAST) this.lastSavedAt = performance.now();
  }

  /** A `last` that was damaged meanwhile is put aside: it is in nobody's way then. */
  async #keepPrevious(): Promise<void> {
    const [last, previous] = [LAST, PREVIOUS].map((name) => join(this.options.outDir, name)) as [string, string];
    try {
      await copyCheckpoint(last, previous);
    } catch (error) {
      if (!(error instanceof DetectorError && error.code === 'CHECKPOINT_CORRUPT')) throw error;
      await putAside(last);
    }
  }

  /** The same, if it can be written. Returns whether it was. @throws DetectorError `OUTPUT_NOT_WRITABLE` when that failed too often */
  async trySave(name: 'best' | 'last', detector: Detector, state: TrainingState): Promise<boolean> {
    return await this.writes.save(() => this.save(name, detector, state));
  }

  /** Keeps `last`, which is the end of an epoch, as long as it is one of the newest `keep`. */
  async keepEpoch(epoch: number): Promise<void> {
    const { keep, outDir } = this.options;
    if (keep === 0) return;
    await copyCheckpoint(join(outDir, LAST), join(outDir, epochName(epoch)));
    await rm(join(outDir, epochName(epoch - keep)), { recursive: true, force: true });
  }

  /** Gives back what the run had for itself. */
  async close(): Promise<void> {
    await this.#addon.releaseMemory();
    await this.#claim.release();
  }

  /** What has come of it since `began`. */
  result(began: number): TrainingResult {
    const { epochs, outDir } = this.options;
    const { epoch, bestEpoch, bestScore } = this.state as { epoch: number; bestEpoch: number; bestScore: number };
    const result = { epochs: Math.min(epochs, epoch), bestEpoch, bestScore, outDir, seconds: secondsSince(began) };
    return epoch < epochs ? { ...result, stoppedEarly: true } : result;
  }
}

/** What a run is opened with. */
interface Hooks {
  claim: RunClaim;
  onWarning?: TrainingHooks['onWarning'] | undefined;
}

/** `epoch-0007` */
function epochName(epoch: number): string {
  return `epoch-${String(epoch).padStart(4, '0')}`;
}

/** What the numbers of a run depend on beside its options. */
async function circumstancesOf(detector: Detector, options: ResolvedTrainerOptions) {
  return { compute: await computeOf(detector), data: await dataOf(options), versions: versionsOf(detector) };
}

async function startTraining(detector: Detector, { run, train }: ResolvedTrainerOptions): Promise<void> {
  const { addon, handle } = internalsOf(detector);
  const tensors = await addon.describeState(handle, 'model');
  await addon.startTraining(handle, nativeOptions(run, { model: detector.config, train, tensors }));
}
