import type { DatasetIssue } from './dataset-issue.ts';
import { type DatasetSource, readSamples } from './read-samples.ts';
import type { Sample, SampleInput } from './sample.ts';

export type { ObjectInput, Sample, SampleInput } from './sample.ts';

/**
 * Images with their objects, for a Trainer, an Evaluator, `analyzeDataset` and `previewAugmentation`. `openDataset` makes one from files,
 * `VocDataset.open` from Pascal VOC files, and `Dataset.from` from your own objects.
 */
export interface Dataset {
  /** The names of the classes, without a background. The `labelIndex` of an object counts from 1: it is 1 for `classes[0]`. */
  readonly classes: readonly string[];
  /**
   * The images. Some may have no objects. The list reads as any array. A data set of this library makes a sample anew whenever it is asked
   * for one, frozen: copy what you want to change, `[...dataset.samples]`.
   */
  readonly samples: readonly Sample[];
  /** The problems that were skipped or repaired. */
  readonly issues: readonly DatasetIssue[];
  /** The number of `samples`. */
  readonly length: number;
}

export const Dataset = {
  /**
   * Makes a data set from your own objects, for example from a loader for another format. It compares every object with its image and with
   * `classes`. Unusable objects are skipped or repaired, and listed in `issues`. An image file is only read if its size is missing or
   * `verifyImages` is true.
   *
   * @example
   * const objects = [{ label: 'cat', box: { xmin: 10, ymin: 20, xmax: 110, ymax: 220 } }];
   * const dataset = await Dataset.from([{ imagePath: 'photos/1.jpg', objects }], { classes: ['cat', 'dog'] });
   *
   * @throws {TypeError|RangeError} for an option or a sample of the wrong form, naming it
   * @throws {DetectorError} `DATASET_EMPTY` when there are no samples, or none of their objects could be used
   * @throws the reason of `signal` when it is aborted
   */
  async from(samples: readonly SampleInput[], options: DatasetSource): Promise<Dataset> {
    const content = await readSamples(samples, options);
    return checked({ ...content, length: content.samples.length });
  },
};

/** Data sets whose samples were compared with their images and classes when they were made. */
const known = new WeakSet<object>();

/** Marks a data set that needs no further check. */
export function checked<T extends Dataset>(dataset: T): T {
  known.add(dataset);
  return dataset;
}

export function isChecked(value: object): boolean {
  return known.has(value);
}
