import { appendFile, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import { BEST, LAST, PREVIOUS } from '../detector/history.ts';
import { ensureWritableDirectory, isTemporaryName, writeFileAtomic, writing } from '../files/atomic-file.ts';
import { loadPlots } from '../images/load-plots.ts';
import type { ChartSeries } from '../images/plot.ts';

/** One training step. */
export interface StepRecord {
  type: 'step';
  /** Counted from 1. */
  epoch: number;
  /** Counted from 1, in the epoch of `steps`. */
  step: number;
  steps: number;
  loss: number;
  boxLoss: number;
  classLoss: number;
  gradientNorm: number;
  learningRate: number;
  seconds: number;
}

/** One epoch. */
export interface EpochRecord {
  type: 'epoch';
  /** Counted from 1. */
  epoch: number;
  /** Means over the steps of the epoch. */
  trainLoss: number;
  boxLoss: number;
  classLoss: number;
  /** That of the epoch's steps. */
  learningRate: number;
  /** mAP@0.5:0.95 and mAP@0.5 on the validation data, 0 to 1. */
  map: number;
  map50: number;
  /** Wall-clock time of training and evaluation. */
  seconds: number;
  /** Whatever else is known of the epoch goes into `metrics.jsonl` alone. */
  [more: string]: unknown;
}

export type MetricsRecord = StepRecord | EpochRecord;

const METRICS = 'metrics.jsonl';
const FILES = [METRICS, 'results.csv', 'train_loss.png', 'map.png', 'config.json'];
const COLUMNS = ['epoch', 'trainLoss', 'boxLoss', 'classLoss', 'learningRate', 'map', 'map50', 'seconds'] as const;
/** Points of the smoothed step loss in a plot. */
const SMOOTH_POINTS = 200;

/**
 * The directory of a training run: `metrics.jsonl` (a line per recorded step and per epoch), `results.csv` (a line per epoch),
 * `train_loss.png`, `map.png` and `config.json`. Other files in it are left alone.
 */
export class RunDirectory {
  readonly path: string;
  readonly #steps: StepRecord[] = [];
  readonly #epochs: EpochRecord[] = [];
  /** Steps of the epoch after one that is not recorded yet. */
  readonly #early: StepRecord[] = [];
  #completed: number;
  #written: Promise<void> = Promise.resolve();
  /** Of `metrics.jsonl` in bytes, as far as it was written without an error. */
  #size: number;
  /** Lines that could not be written yet. */
  #unwritten = '';

  private constructor(path: string, records: readonly MetricsRecord[], completed: number) {
    this.path = path;
    this.#completed = completed;
    for (const record of records) this.#remember(record);
    this.#size = Buffer.byteLength(records.map(toLine).join(''));
  }

  /**
   * Opens the directory of a new run, which may also be one that was ended before its first save, or, with `resume` (epochs completed, and steps of the next one), of one that goes on: what
   * was recorded after that is dropped, so that the files end up as those of a run that was never interrupted.
   * @throws DetectorError OUTPUT_NOT_WRITABLE, also when a new run would overwrite files that are there
   */
  static async open(path: string, options: { resume?: { epoch: number; step: number } } = {}): Promise<RunDirectory> {
    const { resume } = options;
    await ensureWritableDirectory(path);
    const present = await writing(path, () => readdir(path));
    const taken = FILES.filter((name) => present.includes(name));
    const isTaken = resume ? !taken.includes(METRICS) : !(await isUnsaved(path));
    if (taken.length > 0 && isTaken) {
      throw new DetectorError(
        'OUTPUT_NOT_WRITABLE',
        `${path} already has ${taken.join(', ')}, which a new run would overwrite. Choose another directory, or resume the run that is there.`,
      );
    }
    for (const name of present.filter(isTemporaryName)) await rm(join(path, name), { force: true });
    const recorded = resume && taken.length > 0 ? await readMetrics(join(path, METRICS)) : [];
    const kept = recorded.filter((record) => isBefore(record, resume!));
    const run = new RunDirectory(path, kept, resume?.epoch ?? 0);
    await writeFileAtomic(join(path, METRICS), kept.map(toLine).join(''));
    await run.#writeResults();
    return run;
  }

  /** The epochs recorded so far. */
  get epochs(): readonly EpochRecord[] {
    return this.#epochs;
  }

  /**
   * Adds a line to `metrics.jsonl`, and for an epoch one to `results.csv`. Where an epoch is evaluated while the next one is trained,
   * the steps of that wait for the record of the epoch: the lines are in the order of the epochs. Lines that cannot be written are
   * written with the next ones.
   */
  async appendMetrics(record: MetricsRecord): Promise<void> {
    if (record.type === 'step' && record.epoch > this.#completed + 1) {
      this.#early.push(record);
      return;
    }
    const isEpoch = record.type === 'epoch';
    if (isEpoch) this.#completed = record.epoch;
    const records = isEpoch ? [record, ...this.#early.splice(0)] : [record];
    for (const each of records) this.#remember(each);
    await this.#inTurn(async () => {
      await this.#append(records.map(toLine).join(''));
      if (isEpoch) await this.#writeResults();
    });
  }

  async #append(lines: string): Promise<void> {
    const path = join(this.path, METRICS);
    const isRetry = this.#unwritten !== '';
    this.#unwritten += lines;
    await writing(path, async () => {
      if (isRetry) await cut(path, this.#size); // a part of them may be there
      await appendFile(path, this.#unwritten);
    });
    this.#size += Buffer.byteLength(this.#unwritten);
    this.#unwritten = '';
  }

  /** Writes the resolved configuration to `config.json`. */
  async writeConfig(config: Record<string, unknown>): Promise<void> {
    await writeFileAtomic(join(this.path, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  }

  /** Draws `train_loss.png` and `map.png` from what is recorded. */
  async writePlots(): Promise<void> {
    const { lineChartSvg, renderSvg } = await loadPlots();
    const epochLoss: ChartSeries = {
      name: 'mean of the epoch',
      points: this.#epochs.map(({ epoch, trainLoss }) => [epoch, trainLoss]),
    };
    const stepLoss: ChartSeries = { name: 'steps, smoothed', points: smooth(this.#steps) };
    const loss = await lineChartSvg({
      title: 'Training loss',
      xLabel: 'epoch',
      yLabel: 'loss',
      series: [epochLoss, stepLoss].filter(({ points }) => points.length > 0),
    });
    await writeFileAtomic(join(this.path, 'train_loss.png'), await renderSvg(loss));
    const map = await lineChartSvg({
      title: 'Validation mAP',
      xLabel: 'epoch',
      yLabel: 'mAP',
      yMin: 0,
      series: [
        { name: 'mAP@0.5:0.95', points: this.#epochs.map(({ epoch, map }) => [epoch, map]) },
        { name: 'mAP@0.5', points: this.#epochs.map(({ epoch, map50 }) => [epoch, map50]) },
      ],
    });
    await writeFileAtomic(join(this.path, 'map.png'), await renderSvg(map));
  }

  /** After what was asked for before, whatever came of that. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const writing = this.#written.then(write);
    this.#written = writing.catch(() => {});
    return writing;
  }

  #remember(record: MetricsRecord): void {
    if (record.type === 'step') this.#steps.push(record);
    else this.#epochs.push(record);
  }

  async #writeResults(): Promise<void> {
    const lines = this.#epochs.map((epoch) => COLUMNS.map((column) => epoch[column] ?? '').join(','));
    await writeFileAtomic(join(this.path, 'results.csv'), `${[COLUMNS.join(','), ...lines].join('\n')}\n`);
  }
}

/** Cuts a file to this size, if it is there and longer. */
async function cut(path: string, size: number): Promise<void> {
  await truncate(path, size).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/**
 * Whether a directory has a run that was ended before its first save: no checkpoint, and metrics without an epoch. Another run may take
 * its place.
 */
export async function isUnsaved(path: string): Promise<boolean> {
  const present = await readdir(path).catch((): string[] => []);
  const isCheckpoint = (name: string) =>
    [LAST, PREVIOUS, BEST].includes(name) || /^(epoch-\d+|last\.damaged.*)$/.test(name);
  if (!present.includes(METRICS) || present.some(isCheckpoint)) return false;
  const lines = (await readFile(join(path, METRICS), 'utf8')).split('\n');
  return lines.slice(0, -1).every((line) => line.startsWith('{"type":"step"'));
}

function toLine(record: MetricsRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** The records of a metrics file; a line cut short by a crash is left out. */
async function readMetrics(path: string): Promise<MetricsRecord[]> {
  const text = await writing(path, () => readFile(path, 'utf8'));
  return text.split('\n').flatMap((line) => {
    try {
      const record = JSON.parse(line) as MetricsRecord;
      return ['step', 'epoch'].includes(record.type) && Number.isInteger(record.epoch) ? [record] : [];
    } catch {
      return [];
    }
  });
}

function isBefore(record: MetricsRecord, { epoch, step }: { epoch: number; step: number }): boolean {
  return record.epoch <= epoch || (record.type === 'step' && record.epoch === epoch + 1 && record.step <= step);
}

/** Step losses against the epochs completed (1.5: half way through the second), as means of equally long runs of steps. */
function smooth(steps: readonly StepRecord[]): [x: number, y: number][] {
  const length = Math.ceil(steps.length / SMOOTH_POINTS);
  const points: [number, number][] = [];
  for (let begin = 0; begin < steps.length; begin += length) {
    const run = steps.slice(begin, begin + length);
    const x = run.reduce((sum, { epoch, step, steps }) => sum + epoch - 1 + step / steps, 0) / run.length;
    points.push([x, run.reduce((sum, { loss }) => sum + loss, 0) / run.length]);
  }
  return points;
}
