import { createHash } from 'node:crypto';
import { checkInteger, checkKeys, checkNumber, checkSequence } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { mapConcurrently } from '../base/map-concurrently.ts';
import { checkSignal } from '../base/signal.ts';
import { checkDataset } from './check-dataset.ts';
import { hashFile } from './content-hash.ts';
import { checked, type Dataset, type Sample } from './dataset.ts';
import { type PartName, partNames } from './part-name.ts';
import { selectSamples } from './sample-table.ts';

/** The options of `splitDataset`. */
export interface SplitOptions {
  /**
   * The seed. Another seed gives other parts.
   * @default 0
   */
  seed?: number | undefined;
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal | undefined;
}

/** The parts of a data set. `test` exists if three fractions were given. */
export interface SplitDatasets {
  train: Dataset;
  valid: Dataset;
  test?: Dataset;
}

/** A class with fewer images is spread over the parts by count, because chance could leave a part without any. */
const RARE = 50;

/**
 * Divides a data set into training, validation and, with a third fraction, test data: `splitDataset(dataset, [0.8, 0.1, 0.1])`.
 *
 * A hash of the image's content and the seed decides its part. So copies of an image are always in one part. Adding images moves no other
 * image, except images of a rare class (in fewer than 50 different images). These are divided by their hashes in proportion, the rarest
 * class first.
 *
 * @throws {TypeError|RangeError} for fractions that are not two or three numbers with the sum 1
 * @throws {DetectorError} `IMAGE_UNREADABLE` for a missing image, `DATASET_EMPTY` when a part would have no image
 * @throws the reason of `signal` when it is aborted
 */
export async function splitDataset(
  dataset: Dataset,
  fractions: readonly number[],
  options: SplitOptions = {},
): Promise<SplitDatasets> {
  const whole = checkDataset('dataset', dataset);
  const shares = checkFractions(fractions);
  const given = checkKeys('options', options, ['seed', 'signal']) as SplitOptions;
  const seed = checkInteger('seed', given.seed ?? 0, 0);
  const signal = checkSignal('signal', given.signal);
  const hashes = await mapConcurrently(whole.samples, async ({ imagePath }) => {
    signal?.throwIfAborted();
    return await contentOf(imagePath);
  });
  const partOf = assign(whole, hashes, shares, seed);
  const [train, valid, test] = shares.map((_, part) => subset(whole, hashes, partOf, part));
  return { train: train!, valid: valid!, ...(test && { test }) };
}

/** "0.8/0.1/0.1" and such. */
export function checkFractions(value: unknown): number[] {
  const list = checkSequence('fractions', value, 2, 3).map((each, i) => checkNumber(`fractions[${i}]`, each, 0, 1));
  const sum = list.reduce((total, each) => total + each, 0);
  if (Math.abs(sum - 1) > 1e-6 || list.some((each) => each === 0)) {
    throw new RangeError(
      `Expected fractions above 0 with the sum 1, as in [0.8, 0.1, 0.1], but received ${list.join(', ')}`,
    );
  }
  return list;
}

async function contentOf(path: string): Promise<string> {
  try {
    return await hashFile(path);
  } catch (error) {
    throw new DetectorError('IMAGE_UNREADABLE', `Cannot read image "${path}": ${messageOf(error)}`, { cause: error });
  }
}

/** One content, which may be that of several images. */
interface Content {
  hash: string;
  /** From 0 to 1. */
  place: number;
  labels: Set<number>;
}

/** The part of each content. */
function assign(
  { samples, classes }: Dataset,
  hashes: readonly string[],
  shares: readonly number[],
  seed: number,
): ReadonlyMap<string, number> {
  const contents = contentsOf(samples, hashes, seed);
  const parts = new Map<string, number>();
  for (const rare of rareClasses(contents, classes.length)) {
    const ordered = rare.sort((a, b) => a.place - b.place);
    const counts = countsOf(ordered.length, shares);
    const taken = shares.map((_, part) => ordered.filter(({ hash }) => parts.get(hash) === part).length);
    for (const { hash } of ordered) {
      if (parts.has(hash)) continue;
      const part = farthestBehind(counts, taken);
      parts.set(hash, part);
      taken[part]!++;
    }
  }
  for (const { hash, place } of contents) if (!parts.has(hash)) parts.set(hash, partAt(place, shares));
  return parts;
}

function contentsOf(samples: readonly Sample[], hashes: readonly string[], seed: number): Content[] {
  const contents = new Map<string, Content>();
  for (const [i, { objects }] of samples.entries()) {
    const hash = hashes[i]!;
    const content = contents.get(hash) ?? { hash, place: placeOf(hash, seed), labels: new Set<number>() };
    for (const { labelIndex } of objects) content.labels.add(labelIndex);
    contents.set(hash, content);
  }
  return [...contents.values()];
}

/** 48 bits of a hash of both: another seed gives places that have nothing to do with the first. */
function placeOf(hash: string, seed: number): number {
  return createHash('sha256').update(`${seed} ${hash}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

function partAt(place: number, shares: readonly number[]): number {
  let end = 0;
  for (const [part, share] of shares.entries()) {
    end += share;
    if (place < end) return part;
  }
  return shares.length - 1;
}

/** The images of each class that few images show, the rarest class first. */
function rareClasses(contents: readonly Content[], classes: number): Content[][] {
  const byLabel = Array.from({ length: classes + 1 }, (): Content[] => []);
  for (const content of contents) for (const label of content.labels) byLabel[label]!.push(content);
  return byLabel.filter(({ length }) => length > 0 && length < RARE).sort((a, b) => a.length - b.length);
}

/** How many of `total` go to each part: in proportion, each part one at least where there are enough. */
function countsOf(total: number, shares: readonly number[]): number[] {
  const counts = shares.map((share) => Math.max(total >= shares.length ? 1 : 0, Math.round(total * share)));
  counts[0] = Math.max(1, total - counts.slice(1).reduce((sum, count) => sum + count, 0));
  return counts;
}

/** The part that has the least of what it should have. */
function farthestBehind(counts: readonly number[], taken: readonly number[]): number {
  let chosen = 0;
  for (const part of counts.keys()) {
    const missing = (each: number) => (counts[each]! - taken[each]!) / Math.max(1, counts[each]!);
    if (missing(part) > missing(chosen)) chosen = part;
  }
  return chosen;
}

function subset(whole: Dataset, hashes: readonly string[], partOf: ReadonlyMap<string, number>, part: number): Dataset {
  const samples = selectSamples(whole.samples, whole.classes, (i) => partOf.get(hashes[i]!) === part);
  if (samples.length === 0) {
    const name: PartName = partNames[part]!;
    throw new DetectorError(
      'DATASET_EMPTY',
      `The part ${name} would have no image: there are ${whole.length} in all. Give it a larger fraction, or more images`,
    );
  }
  return checked({ classes: whole.classes, samples, issues: [], length: samples.length });
}
