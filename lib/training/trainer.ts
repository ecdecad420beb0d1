import { withoutUndefined } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { type Detector, internalsOf } from '../detector/detector.ts';
import { checkSameClasses } from '../evaluation/evaluator.ts';
import { EpochEnd } from './epoch-end.ts';
import { GraphNotice } from './graph-notice.ts';
import { OverlappedEvaluation } from './overlapped-evaluation.ts';
import { resolveTrainerOptions } from './resolve-options.ts';
import { checkSame, mismatch, openSavedRun, type SavedRun } from './saved-run.ts';
import { StepQueue } from './step-queue.ts';
import type { ResolvedTrainerOptions, RunOptions, TrainerOptions } from './trainer-options.ts';
import { checkHooks, type TrainingHooks, type TrainingResult } from './training-events.ts';
import { TrainingRun } from './training-run.ts';

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
    const { onWarning, signal } = checkHooks(hooks);
    const began = performance.now();
    const { addon } = internalsOf(this.#detector);
    const run = await this.#open();
    const { state } = run;
    const loader = run.openLoader();
    const steps = new StepQueue(run, hooks);
    const graphs = new GraphNotice(run.detector, hooks);
    const evaluations = new OverlappedEvaluation(run.detector, { overlap: this.#overlap, onWarning });
    const epochEnd = new EpochEnd(run, hooks);

    try {
      while (run.goesOn) {
        const epochBegan = performance.now();
        for await (const batch of loader.epoch(state.epoch, state.step, { onWarning, signal })) {
          await steps.take(batch);
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
      if (signal?.aborted || [error, unfinished?.error].some(leavesGoodWeights)) {
        if (!unfinished) await steps.settle();
        const { detector, state } = unfinished ?? run;
        await run.save('last', detector, state);
      }
      throw error;
    } finally {
      evaluations.dispose();
      await addon.releaseMemory();
    }
    return run.result(began);
  }

  get #overlap(): boolean {
    return this.#options.overlapEvaluation ?? this.#detector.device !== 'cpu';
  }

  #resolve(options: TrainerOptions, preset = this.#detector.config.preset): ResolvedTrainerOptions {
    const { pretrained } = internalsOf(this.#detector);
    const resolved = resolveTrainerOptions(options, preset, pretrained);
    checkBackboneOptions(this.#detector, resolved.run);
    return resolved;
  }

  async #open(): Promise<TrainingRun> {
    const saved = this.#options.resume ? await this.#openSaved() : undefined;
    for (const dataset of [this.#options.train, this.#options.valid]) checkSameClasses(this.#detector, dataset);
    if (saved) return TrainingRun.resume(this.#detector, this.#options, saved);
    return TrainingRun.begin(this.#detector, this.#options);
  }

  /** The run to go on with: its options are those of this one, where none are given. */
  async #openSaved(): Promise<SavedRun> {
    const saved = await openSavedRun(this.#detector, this.#options.outDir);
    const { path, state } = saved;
    const kept = Object.entries(state.options).filter(([, value]) => value !== null);
    try {
      // With no defaults but the article's, which are absent too: what that run did without, this one does without.
      this.#options = this.#resolve({ ...Object.fromEntries(kept), ...withoutUndefined(this.#given) }, 'article');
    } catch (error) {
      throw mismatch(path, messageOf(error));
    }
    checkSame(path, 'options', state.options, this.#options.run);
    return saved;
  }
}

/** Layers and blocks are known of a ConvNeXt alone. */
function checkBackboneOptions(detector: Detector, run: RunOptions): void {
  if (detector.config.backbone !== 'torchscript') return;
  for (const key of ['layerDecay', 'dropPath'] as const) {
    if (run[key] === undefined) continue;
    throw new RangeError(`${key} needs a ConvNeXt, and this detector has a TorchScript backbone; leave ${key} out`);
  }
}

/** What ends a step leaves the weights as they were before it. */
function leavesGoodWeights(error: unknown): boolean {
  return error instanceof DetectorError && ['LOSS_NOT_FINITE', 'OUT_OF_MEMORY'].includes(error.code);
}
