import { fork } from 'node:child_process';
import { programFile } from '../../base/package-files.ts';
import type { Verification } from '../../onnx/verify.ts';
import { compare } from '../../onnx/verify.ts';
import { alignColumns } from '../output/text.ts';
import type { Measurement, Task } from './contestant.ts';

/** One contestant's line of the table. */
export interface Row {
  name: string;
  /** Of its weights on the disk, in bytes. */
  fileBytes: number;
  /** COCO's mAP@0.5:0.95 on `--data`. */
  map?: number;
  /** Left out where it could not run, which `error` explains. */
  measured?: Omit<Measurement, 'detections'>;
  /** How far its detections are from those of the first row. */
  difference?: Pick<Verification, 'box' | 'score' | 'unmatched' | 'detections'>;
  error?: string;
}

/** Runs a task in a process of its own, whose memory is its own. */
export async function measureApart(task: Task): Promise<Measurement> {
  const child = fork(programFile('cli/benchmark/child'), {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return await new Promise<Measurement>((resolve, reject) => {
    child.once('message', (answer: { value: Measurement } | { error: string }) => {
      'value' in answer ? resolve(answer.value) : reject(new Error(answer.error));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`its process ended with ${signal ?? code}`)));
    child.send(task);
  });
}

/** How far from the first of the contestants. */
export function differenceOf(first: Measurement, own: Measurement): NonNullable<Row['difference']> {
  const { box, score, unmatched, detections } = compare(first.detections, own.detections);
  return { box, score, unmatched, detections };
}

export function formatRows(rows: readonly Row[]): string {
  const withMap = rows.some(({ map }) => map !== undefined);
  const head = ['', 'decode', 'model', 'postprocess', 'images/s', 'start', 'memory', 'file', 'box', 'score'];
  return alignColumns([[...head, ...(withMap ? ['mAP'] : [])], ...rows.map((row) => cells(row, withMap))]);
}

function cells({ name, fileBytes, measured, difference, map, error }: Row, withMap: boolean): string[] {
  if (!measured) return [`${name}: ${error}`, ...Array(withMap ? 10 : 9).fill('')];
  const { decode, model, postprocess, start, memory } = measured;
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const megabytes = (value: number) => `${(value / 1e6).toFixed(0)} MB`;
  return [
    ...[name, ms(decode), ms(model), ms(postprocess), (1000 / (decode + model + postprocess)).toFixed(1)],
    ...[`${(start / 1000).toFixed(1)} s`, megabytes(memory), megabytes(fileBytes)],
    ...(difference ? [`${difference.box.toPrecision(2)} px`, difference.score.toPrecision(2)] : ['-', '-']),
    ...(withMap ? [map === undefined ? '-' : (100 * map).toFixed(1)] : []),
  ];
}
