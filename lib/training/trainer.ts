import { DetectorError } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import { checkSameClasses } from '../evaluation/evaluator.ts';
import { EpochEnd } from './epoch-end.ts';
import { GraphNotice } from './graph-notice.ts';
import { trainingSizes } from './multiscale.ts';
import { OverlappedEvaluation, type UnfinishedEpoch } from './overlapped-evaluation.ts';
import { PeriodicSaves } from './periodic-saves.ts';
import { resolveTrainerOptions } from './resolve-options.ts';
import { resumeNotices } from './resume-notices.ts';
import { RunClaim } from './run-claim.ts';
import { isUnsaved } from './run-directory.ts';
import { checkSameData, openSavedRun, resumedOptions, type SavedRun } from './saved-run.ts';
import { StepQueue } from './step-queue.ts';
import type { ResolvedTrainerOptions, RunOptions, TrainerOptions } from './trainer-options.ts';
import { checkHooks, type StartEvent, type TrainingHooks, type TrainingResult } from './training-events.ts';
import { TrainingRun } from './training-run.ts';

/** Trains a detector on a data set, or resumes an interrupted run. */
export class Trainer {
  readonly #detector: Detector;
  readonly #given: TrainerOptions;
  #options: ResolvedTrainerOptions;
  #saves: PeriodicSaves | undefined;

  /**
   * Checks the options without touching a file.
   * @throws {TypeError|RangeError} naming the wrong option
   */
  constructor(detector: Detector, options: TrainerOptions) {
    internalsOf(detector); // says so if it is none
    this.#detector = detector;
    this.#given = options;
    this.#options = this.#resolve(options);
  }

  /**
   * All options of the run, with the defaults of the detector's preset filled in. With `resume` the options of the run are known as soon
   * as it has started: see `onStart`.
   */
  get options(): StartEvent['options'] {
    const { epochs, patience, run } = this.#options;
    return structuredClone({ epochs, ...(patience !== undefined && { patience }), ...run });
  }

  /**
   * Trains the remaining epochs, and evaluates and saves each. It writes into `outDir`: `best/`, `last/` and `previous/`
   * (checkpoints: the best, the newest, and the one before it), `metrics.jsonl`,
   * `results.csv`, `train_loss.png`, `map.png`, `config.json` and `settings.yaml`. If a step fails during the evaluation of an epoch, the
   * epoch is still evaluated and saved.
   *
   * @throws the error of a hook, and the reason of the signal
   * @throws {DetectorError} `LOSS_NOT_FINITE` (the message shows the parts of the loss; the detector and `last` have the last good
   * weights); `OUT_OF_MEMORY` and, for an image that cannot be read now, `IO_ERROR` (the same); `OUTPUT_NOT_WRITABLE` if saving failed
   * `maxFailedSaves` times in a row; `DATASET_EMPTY`; `IN_USE` for a detector or directory of another run
   * @throws {DetectorError} with `resume` also `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_CORRUPT`, and `CHECKPOINT_MISMATCH` if a given option
   * or the data would make it another run
   */
  async run(hooks: TrainingHooks = {}): Promise<TrainingResult> {
    const { onStart, onWarning, signal } = checkHooks(hooks);
    const began = performance.now();
    const run = await this.#open(onWarning);
    const { state } = run;
    const loader = run.openLoader();
    const steps = new StepQueue(run, hooks);
    const graphs = new GraphNotice(run.detector, hooks);
    const evaluations = new OverlappedEvaluation(run.detector, { overlap: this.#overlap, onWarning });
    const epochEnd = new EpochEnd(run, hooks);
    this.#saves = new PeriodicSaves(run, steps, evaluations);

    try {
      await onStart?.({ options: this.options, epoch: state.epoch, step: state.step });
      while (run.goesOn) {
        const epochBegan = performance.now();
        for await (const batch of loader.epoch(state.epoch, state.step, { onWarning, signal })) {
          await steps.take(batch);
          await this.#saves.afterStep();
          signal?.throwIfAborted();
          evaluations.throwIfFailed();
        }
        await steps.finish();
        await graphs.tell();
        await evaluations.finish(); // of the epoch before, which says what is the best so far
        const trained = run.endEpoch(epochBegan);
        await evaluations.start(trained.state, run.goesOn, (detector) => epochEnd.complete(trained, detector));
        signal?.throwIfAborted();
      }
    } catch (error) {
      const unfinished = await evaluations.settle();
      const resumable = signal?.aborted || [error, unfinished?.error].some(leavesGoodWeights);
      if (resumable) await saveLast(run, unfinished, steps);
      throw error;
    } finally {
      evaluations.dispose();
      await run.close();
    }
    return run.result(began);
  }

  /** Asks a run that is under way to save `last` after the step that it is at, and to go on. */
  requestSave(): void {
    this.#saves?.request();
  }

  get #overlap(): boolean {
    return this.#options.overlapEvaluation ?? this.#detector.device !== 'cpu';
  }

  #resolve(options: TrainerOptions, preset = this.#detector.config.preset): ResolvedTrainerOptions {
    const { pretrained, learning } = internalsOf(this.#detector);
    const resolved = resolveTrainerOptions(options, { preset, pretrained, learning, model: this.#detector.config });
    checkBackboneOptions(this.#detector, resolved.run);
    return resolved;
  }

  async #open(onWarning: TrainingHooks['onWarning']): Promise<TrainingRun> {
    const [detector, { train, valid }] = [this.#detector, this.#options];
    const hooks = { claim: new RunClaim(detector), onWarning };
    try {
      const saved = await this.#openSaved(hooks);
      // With no defaults but the article's, which are absent too: what that run did without, this one does without.
      if (saved) this.#options = resumedOptions(saved, this.#given, (options) => this.#resolve(options, 'article'));
      for (const dataset of [train, valid]) checkSameClasses(detector, dataset);
      if (!saved) return await TrainingRun.begin(detector, this.#options, hooks);
      const changes = await checkSameData(saved, this.#options);
      const run = await TrainingRun.resume(detector, this.#options, saved, hooks);
      for (const notice of [...resumeNotices(saved, run.state), ...changes]) onWarning?.(notice);
      return run;
    } catch (error) {
      await hooks.claim.release();
      throw error;
    }
  }

  /** The run to go on with; undefined for one that begins, which it also does where it was ended before its first save. */
  async #openSaved(hooks: { claim: RunClaim; onWarning: TrainingHooks['onWarning'] }): Promise<SavedRun | undefined> {
    const { resume, outDir } = this.#options;
    if (!resume) return undefined;
    if (await isUnsaved(outDir)) {
      hooks.onWarning?.(`The run in ${outDir} was ended before its first save. It begins anew`);
      return undefined;
    }
    return await openSavedRun(this.#detector, outDir, hooks);
  }
}

/** Layers, blocks and other sizes are known of a ConvNeXt alone. */
function checkBackboneOptions(detector: Detector, run: RunOptions): void {
  checkMultiscale(detector.config.imageSize, run);
  if (detector.config.backbone !== 'torchscript') return;
  for (const key of ['layerDecay', 'dropPath', 'multiscale'] as const) {
    if (run[key] === undefined) continue;
    throw new RangeError(`${key} needs a ConvNeXt, and this detector has a TorchScript backbone; leave ${key} out`);
  }
}

function checkMultiscale(size: Size, { multiscale }: RunOptions): void {
  if (!multiscale || trainingSizes(size, multiscale).length > 0) return;
  const [from, to] = multiscale;
  throw new RangeError(
    `Expected a range for multiscale with a multiple of 32 in it but received ${from} to ${to} of ${size.width} x ${size.height}; ` +
      'widen the range',
  );
}

/** Saves where a run can go on: the end of an epoch that is not evaluated yet, otherwise the last good step. */
async function saveLast(run: TrainingRun, unfinished: UnfinishedEpoch | undefined, steps: StepQueue): Promise<void> {
  if (!unfinished) await steps.settle();
  const { detector, state } = unfinished ?? run;
  await run.save('last', detector, state);
}

/** What ends a step leaves the weights as they were before it. */
function leavesGoodWeights(error: unknown): boolean {
  return error instanceof DetectorError && ['LOSS_NOT_FINITE', 'OUT_OF_MEMORY', 'IO_ERROR'].includes(error.code);
}
