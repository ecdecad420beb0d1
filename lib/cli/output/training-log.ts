import type { Dataset } from '../../data/dataset.ts';
import type { WeightReport } from '../../detector/model-state.ts';
import type { ModelSummary } from '../../detector/summary.ts';
import type { EpochEvent, StepEvent, TrainingHooks, TrainingResult } from '../../training/training-events.ts';
import { describeDataset } from './open-dataset.ts';
import { createProgress, type Progress, type ProgressOptions } from './progress.ts';
import { formatTotals, pythonNumber } from './text.ts';

export interface TrainingStart {
  outDir: string;
  train: Dataset;
  valid: Dataset;
  summary: ModelSummary;
  /** The start of training in words, for example the backbone and its weights. */
  origin: string;
  weightReport: WeightReport | undefined;
}

/** The output of a run for the user. */
export interface TrainingLog {
  start: (run: TrainingStart) => void;
  hooks: Required<Pick<TrainingHooks, 'onStep' | 'onEpoch' | 'onEvaluate' | 'onWarning'>>;
  end: (result: TrainingResult) => void;
  /** Removes the progress display, however the run ended. */
  stop: () => void;
}

const onWarning = (message: string) => console.error(`Warning: ${message}`);

/** Prints one JSON object per line on standard output: `start`, `step`, `epoch` and `result`. */
export function jsonLog(): TrainingLog {
  const write = (event: string, content: object) => console.log(JSON.stringify({ event, ...content }));
  return {
    start: ({ outDir, train, valid, summary, weightReport }) => {
      const { totalParameters, trainableParameters } = summary;
      const describe = ({ length, issues }: Dataset) => ({ images: length, issues });
      const datasets = { train: describe(train), valid: describe(valid) };
      write('start', { outDir, totalParameters, trainableParameters, weights: weightReport, ...datasets });
    },
    hooks: {
      onStep: (event) => write('step', event),
      onEpoch: (event) => write('epoch', event),
      onEvaluate: () => {},
      onWarning,
    },
    end: (result) => write('result', result),
    stop: () => {},
  };
}

/** Prints the lines of the article's program on standard output, and progress on standard error. */
export function textLog(): TrainingLog {
  const phase = showPhases();
  let epochsRun = 0;
  let trained: Pick<StepEvent, 'epoch' | 'step' | 'steps'> | undefined;
  return {
    start: (run) => console.log(describeStart(run)),
    hooks: {
      onStep: (event: StepEvent) => {
        const { epoch, epochs, step, steps, loss } = event;
        trained = event;
        if (phase.enter(`train ${epoch}`, { total: steps, unit: 'step', label: 'Training' })) {
          console.log(`\nEPOCH ${epoch} of ${epochs}\nTraining`);
        }
        phase.update(step, `Loss: ${loss.toFixed(4)}`);
      },
      onEvaluate: ({ epoch, done, total }) => {
        if (trained && trained.epoch > epoch && trained.step < trained.steps) return; // in the background of a training that is shown
        if (phase.enter(`evaluate ${epoch}`, { total, unit: 'image', label: 'Validating' })) console.log('Validating');
        phase.update(done);
      },
      onEpoch: (event) => {
        phase.stop();
        epochsRun++;
        console.log(describeEpoch(event));
      },
      onWarning,
    },
    end: (result) => console.log(describeEnd(result, epochsRun)),
    stop: phase.stop,
  };
}

function describeStart({ outDir, train, valid, summary, origin, weightReport }: TrainingStart): string {
  const { totalParameters, trainableParameters } = summary;
  return [
    formatTotals(totalParameters, trainableParameters),
    weightReport ? describeWeights(weightReport) : origin,
    describeDataset('Training', train),
    describeDataset('Validation', valid),
    `Results go to ${outDir}`,
  ].join('\n');
}

/** Describes the result of loading a weights file. */
export function describeWeights({
  source,
  loaded,
  head,
  missing,
  unexpected,
  wrongShape,
  classes,
}: WeightReport): string {
  const list = (names: readonly string[], what: string) =>
    names.length === 0
      ? ''
      : `; ${names.length} ${what}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`;
  const shapes = wrongShape.map(
    ({ name, found, expected }) => `${name} (${found.join('x')}, not ${expected.join('x')})`,
  );
  const part = head ? 'backbone and head' : classes ? 'backbone and head of other classes' : 'backbone';
  const rows = classes ? `${list(classes.kept, 'classes kept')}${list(classes.added, 'classes new')}` : '';
  return (
    `Weights of ${source}: ${loaded} tensors loaded (${part})${rows}` +
    `${list(missing, 'missing')}${list(shapes, 'of another shape')}${list(unexpected, 'not needed')}`
  );
}

/** Describes an epoch. The article prints the minutes of "epoch 0" in epoch #1. */
export function describeEpoch(event: EpochEvent): string {
  const { epoch, trainLoss, map, map50, seconds, best, bestScore, nextLearningRate } = event;
  return [
    `Epoch #${epoch} train loss: ${trainLoss.toFixed(3)}`,
    `Epoch #${epoch} mAP@0.50:0.95: ${map.toFixed(4)}`,
    `Epoch #${epoch} mAP@0.50: ${map50.toFixed(4)}`,
    `Took ${(seconds / 60).toFixed(3)} minutes for epoch ${epoch - 1}`,
    ...(best ? [`\nBEST VALIDATION mAP: ${bestScore.toFixed(4)}`, `\nSAVING BEST MODEL FOR EPOCH: ${epoch}\n`] : []),
    'SAVING PLOTS COMPLETE...',
    `LR for next epoch: [${pythonNumber(nextLearningRate)}]`,
  ].join('\n');
}

function describeEnd(result: TrainingResult, epochsRun: number): string {
  const { epochs, bestEpoch, bestScore, outDir, seconds, stoppedEarly } = result;
  const done = stoppedEarly
    ? `STOPPED EARLY after ${epochs} epochs, ${epochs - bestEpoch} of them without a better score`
    : epochsRun === 0
      ? `All ${epochs} epochs were complete`
      : `TRAINING COMPLETE in ${(seconds / 60).toFixed(1)} minutes`;
  return [
    `\n${done}: best mAP@0.50:0.95 ${bestScore.toFixed(4)} at epoch ${bestEpoch}`,
    `Checkpoints, plots and metrics: ${outDir}`,
    `Next: dinov3-det detect --checkpoint ${outDir}/best IMAGES`,
  ].join('\n');
}

/** Shows one progress display at a time. Each phase starts a new one, also after a stop. */
function showPhases() {
  let current = '';
  let options: ProgressOptions;
  let progress: Progress | undefined;
  const stop = () => {
    progress?.stop();
    progress = undefined;
  };
  return {
    /** Starts a phase. Returns true if the phase is new. */
    enter: (name: string, display: ProgressOptions): boolean => {
      if (name === current) return false;
      stop();
      [current, options] = [name, display];
      return true;
    },
    update: (done: number, suffix?: string) => {
      progress ??= createProgress(options);
      progress.update(done, suffix);
    },
    stop,
  };
}
