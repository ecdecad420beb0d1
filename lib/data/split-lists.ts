import { join } from 'node:path';
import { DetectorError, messageOf } from '../base/errors.ts';
import { makeDirectory, writeFileAtomic } from '../files/atomic-file.ts';
import { readTextFile } from '../files/text-file.ts';
import { checked, type Dataset } from './dataset.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { partNames } from './part-name.ts';
import { selectSamples } from './sample-table.ts';
import type { SplitDatasets } from './split-dataset.ts';

const MAX_LIST_BYTES = 256 * 1024 ** 2;

/** Writes `train.txt`, `valid.txt` and, where there is one, `test.txt` into a directory: the ids of the images, one a line. */
export async function writeSplitLists(directory: string, parts: SplitDatasets): Promise<void> {
  await makeDirectory(directory);
  for (const name of partNames) {
    const part = parts[name];
    if (part) await writeFileAtomic(join(directory, `${name}.txt`), part.samples.map(({ id }) => `${id}\n`).join(''));
  }
}

/**
 * Divides a data set as the lists of a directory say. An image of no list is in no part; a listed image that is not there is an issue.
 * Rejects with `DetectorError` `DATASET_NOT_FOUND` without `train.txt` or `valid.txt`, `DATASET_EMPTY` for a part without an image.
 */
export async function splitByLists(dataset: Dataset, directory: string): Promise<SplitDatasets> {
  const [train, valid] = [await readPart(dataset, directory, 'train'), await readPart(dataset, directory, 'valid')];
  const test = await readPart(dataset, directory, 'test').catch((error) => {
    if (error instanceof DetectorError && error.code === 'DATASET_NOT_FOUND') return undefined;
    throw error;
  });
  return { train, valid, ...(test && { test }) };
}

async function readPart(dataset: Dataset, directory: string, name: string): Promise<Dataset> {
  const file = join(directory, `${name}.txt`);
  const text = await readTextFile(file, MAX_LIST_BYTES).catch((error) => {
    throw new DetectorError('DATASET_NOT_FOUND', `Cannot read the list "${file}": ${messageOf(error)}`, {
      cause: error,
    });
  });
  const ids = new Set(text.split(/\r\n|\r|\n/).filter((line) => line !== ''));
  const found = new Set<string>();
  const samples = selectSamples(dataset.samples, dataset.classes, (index) => {
    const { id } = dataset.samples[index]!;
    if (ids.has(id)) found.add(id);
    return ids.has(id);
  });
  const issues = [...ids]
    .filter((id) => !found.has(id))
    .map((id): DatasetIssue => {
      return {
        file,
        kind: 'image-missing',
        message: `the image "${id.slice(0, 80)}" is not in the data set`,
        action: 'skipped',
      };
    });
  if (samples.length === 0) {
    throw new DetectorError('DATASET_EMPTY', `The list "${file}" has no image of this data set. Is it of another one?`);
  }
  return checked({ classes: dataset.classes, samples, issues, length: samples.length });
}
