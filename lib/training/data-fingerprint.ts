import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { runInSlices } from '../base/time-slices.ts';
import type { Dataset } from '../data/dataset.ts';

/** What a run needs to know of a data set to tell whether it is still the same one. Folders may have moved. */
export interface Fingerprint {
  images: number;
  objects: number;
  /** SHA-256 of the names of the image files, in their order. */
  names: string;
  /** Of their widths and heights. */
  sizes: string;
  /** Of the objects: boxes, classes, and whether they are difficult. */
  labels: string;
}

/** The data of a run. */
export interface RunData {
  train: Fingerprint;
  valid: Fingerprint;
}

export async function dataOf({ train, valid }: { train: Dataset; valid: Dataset }): Promise<RunData> {
  return { train: await fingerprintOf(train), valid: await fingerprintOf(valid) };
}

export async function fingerprintOf(dataset: Dataset): Promise<Fingerprint> {
  return await runInSlices(hashSamples(dataset));
}

function* hashSamples({ samples }: Dataset): Generator<void, Fingerprint> {
  const [names, sizes, labels] = Array.from({ length: 3 }, () => createHash('sha256'));
  let count = 0;
  for (const { imagePath, width, height, objects } of samples) {
    names!.update(`${basename(imagePath)}\n`);
    sizes!.update(`${width} ${height}\n`);
    labels!.update(objects.map(objectText).join(';')).update('\n');
    count += objects.length;
    yield;
  }
  const [nameHash, sizeHash, labelHash] = [names!, sizes!, labels!].map((hash) => hash.digest('hex')) as string[];
  return { images: samples.length, objects: count, names: nameHash!, sizes: sizeHash!, labels: labelHash! };
}

function objectText({ box, labelIndex, difficult }: Dataset['samples'][number]['objects'][number]): string {
  return [labelIndex, box.xmin, box.ymin, box.xmax, box.ymax, Number(difficult)].join(' ');
}

/** What differs between the data of a run and those that it is to go on with, in words; nothing where they are the same. */
export function dataChanges(before: RunData, now: RunData): string[] {
  return (['train', 'valid'] as const).flatMap((part) =>
    changes(before[part], now[part]).map((change) => `${part} ${change}`),
  );
}

function changes(before: Fingerprint, now: Fingerprint): string[] {
  const counts = (['images', 'objects'] as const)
    .filter((key) => before[key] !== now[key])
    .map((key) => `had ${before[key]} ${key} and has ${now[key]}`);
  if (counts.length > 0) return counts;
  const words = { names: 'has other image files, or another order', sizes: 'has images of other sizes' };
  const contents = (['names', 'sizes'] as const).filter((key) => before[key] !== now[key]).map((key) => words[key]);
  return before.labels === now.labels ? contents : [...contents, 'has other boxes or classes of objects'];
}

export function isRunData(value: unknown): value is RunData {
  if (value === null || typeof value !== 'object') return false;
  const { train, valid } = value as Partial<Record<keyof RunData, unknown>>;
  return [train, valid].every(isFingerprint);
}

function isFingerprint(value: unknown): value is Fingerprint {
  if (value === null || typeof value !== 'object') return false;
  const { images, objects, names, sizes, labels } = value as Partial<Record<keyof Fingerprint, unknown>>;
  return (
    [images, objects].every(Number.isSafeInteger) && [names, sizes, labels].every((each) => typeof each === 'string')
  );
}
