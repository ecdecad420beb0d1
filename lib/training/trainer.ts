import { DetectorError } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import { checkSameClasses } from '../evaluation/evaluator.ts';
import { EpochEnd } from './epoch-end.ts';
import { GraphNotice } from './graph-notice.ts';
import { trainingSizes } from './multiscale.ts';
import { OverlappedEvaluation, type UnfinishedEpoch } from './overlapped-evaluation.ts';
import { resolveTrainerOptions } from './resolve-options.ts';
import { resumeNotices } from './resume-notices.ts';
import { openSavedRun, resumedOptions } from './saved-run.ts';
import { StepQueue } from './step-queue.ts';
import type { ResolvedTrainerOptions, RunOptions, TrainerOptions } from './trainer-options.ts';
import { checkHooks, type StartEvent, type TrainingHooks, type TrainingResult } from './training-events.ts';
import { TrainingRun } from './training-run.ts';

/** Trains a detector on a data set, or resumes an interrupted run. */
export class Trainer {
  readonly #detector: Detector;
  readonly #given: TrainerOptions;
  #options: ResolvedTrainerOptions;

  /**
   * Checks the options without touching a file.
   * @throws {TypeError|RangeError} naming the wrong option
   */
  constructor(detector: Detector, options: TrainerOptions) {
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
   * Trains the remaining epochs, and evaluates and saves each. It writes into `outDir`: `best/` and `last/` (checkpoints), `metrics.jsonl`,
   * `results.csv`, `train_loss.png`, `map.png`, `config.json` and `settings.yaml`. If a step fails during the evaluation of an epoch, the
   * epoch is still evaluated and saved.
   *
   * @throws the error of a hook, and the reason of the signal
   * @throws {DetectorError} `LOSS_NOT_FINITE` (the message shows the parts of the loss; the detector and `last` have the last good
   * weights); `OUT_OF_MEMORY` (the same); `OUTPUT_NOT_WRITABLE`; `DATASET_EMPTY`
   * @throws {DetectorError} with `resume` also `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_CORRUPT`, and `CHECKPOINT_MISMATCH` if a given option
   * would make it another run
   */
  async run(hooks: TrainingHooks = {}): Promise<TrainingResult> {
    const { onStart, onWarning, signal } = checkHooks(hooks);
    const began = performance.now();
    const { addon } = internalsOf(this.#detector);
    const run = await this.#open(onWarning);
    const { state } = run;
    const loader = run.openLoader();
    const steps = new StepQueue(run, hooks);
    const graphs = new GraphNotice(run.detector, hooks);
    const evaluations = new OverlappedEvaluation(run.detector, { overlap: this.#overlap, onWarning });
    const epochEnd = new EpochEnd(run, hooks);

    try {
      await onStart?.({ options: this.options, epoch: state.epoch, step: state.step });
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
      const resumable = signal?.aborted || [error, unfinished?.error].some(leavesGoodWeights);
      if (resumable) await saveLast(run, unfinished, steps);
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
    const { pretrained, learning } = internalsOf(this.#detector);
    const resolved = resolveTrainerOptions(options, { preset, pretrained, learning, model: this.#detector.config });
    checkBackboneOptions(this.#detector, resolved.run);
    return resolved;
  }

  async #open(onWarning: TrainingHooks['onWarning']): Promise<TrainingRun> {
    const [detector, { resume, outDir, train, valid }] = [this.#detector, this.#options];
    const saved = resume ? await openSavedRun(detector, outDir) : undefined;
    // With no defaults but the article's, which are absent too: what that run did without, this one does without.
    if (saved) this.#options = resumedOptions(saved, this.#given, (options) => this.#resolve(options, 'article'));
    for (const dataset of [train, valid]) checkSameClasses(detector, dataset);
    if (!saved) return TrainingRun.begin(detector, this.#options);
    const run = await TrainingRun.resume(detector, this.#options, saved);
    for (const notice of resumeNotices(saved, run.state)) onWarning?.(notice);
    return run;
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
  return error instanceof DetectorError && ['LOSS_NOT_FINITE', 'OUT_OF_MEMORY'].includes(error.code);
}
