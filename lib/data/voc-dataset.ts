import { checkBoolean, checkFunction, checkKeys, checkOneOf, checkString } from '../base/check.ts';
import { checkSignal } from '../base/signal.ts';
import { checkClasses } from '../model/class-list.ts';
import { defaultLimits } from './annotation-limits.ts';
import { checked, type Dataset, type Sample } from './dataset.ts';
import type { DatasetCounts } from './dataset-counts.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { ClassLookup } from './examine-objects.ts';
import { Footprint } from './footprint.ts';
import { vocPart } from './formats/voc.ts';
import { keepPart, takePart } from './kept-part.ts';
import { checkNotEmpty } from './not-empty.ts';
import { OpeningCache } from './opening-cache.ts';
import { type PartContent, readPart } from './read-part.ts';
import { type ExifMode, exifModes } from './read-size.ts';
import { listVocFiles, type VocSource } from './voc-files.ts';

/** The options of `VocDataset.open`: the place of the data set (`images` and `annotations`, or `root` and `split`), and how to read it. */
export type VocDatasetOptions = VocSource & {
  /** The names of the classes. They may begin with `__background__`, as in the article's files, which is left out. */
  classes: readonly string[];
  /**
   * Whether to decode every image once, so that a truncated one is found now and not in the middle of a run. `false` reads only headers.
   * @default true
   */
  verifyImages?: boolean;
  /**
   * Whether images are turned upright by their EXIF orientation: `apply`, `ignore` or `auto`. `auto` turns them unless `<size>` fits only
   * the stored image.
   * @default 'auto'
   */
  exif?: ExifMode;
  /**
   * Keep what was found in the user's cache, so that the next opening takes seconds. It is used for as long as every file has the same
   * size and times.
   * @default true
   */
  cache?: boolean;
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal | undefined;
  /**
   * Called after every image. An error that it throws ends the call.
   * @default none
   */
  onProgress?: ((done: number, total: number) => void) | undefined;
};

/**
 * A data set in Pascal VOC format. Its samples are checked, and sorted by their ids in code-unit order.
 *
 * @example
 * const dataset = await VocDataset.open({ root: 'VOCdevkit/VOC2012', split: 'train', classes: ['cat', 'dog'] });
 * console.log(dataset.length, formatIssues(dataset.issues));
 */
export class VocDataset implements Dataset {
  /** The names of the classes, without a background. The `labelIndex` of an object counts from 1: it is 1 for `classes[0]`. */
  readonly classes: readonly string[];
  /** The images. Some may have no objects. */
  readonly samples: readonly Sample[];
  /** The problems that were skipped or repaired. */
  readonly issues: readonly DatasetIssue[];

  /** The outcome of every file. */
  readonly counts: DatasetCounts;

  private constructor(
    classes: readonly string[],
    samples: readonly Sample[],
    issues: readonly DatasetIssue[],
    counts: DatasetCounts,
  ) {
    this.classes = classes;
    this.samples = samples;
    this.issues = issues;
    this.counts = counts;
    checked(this);
  }

  /** The number of `samples`. */
  get length(): number {
    return this.samples.length;
  }

  /**
   * Reads every annotation and image of a data set. Unusable data is skipped or repaired, and listed in `issues`.
   *
   * @throws {TypeError|RangeError} for a wrong option, naming it
   * @throws {DetectorError} `DATASET_NOT_FOUND` for a missing folder or split; `DATASET_EMPTY` if no image is left, or no annotated object
   * could be used
   * @throws the reason of `signal` when it is aborted
   */
  static async open(options: VocDatasetOptions): Promise<VocDataset> {
    const source = checkSource(options);
    const classes = checkClasses('classes', options.classes);
    const verifyImages = checkBoolean('verifyImages', options.verifyImages ?? true);
    const exif = checkOneOf('exif', options.exif ?? 'auto', exifModes);
    const cached = checkBoolean('cache', options.cache ?? true);
    const onProgress = checkFunction('onProgress', options.onProgress ?? (() => {}));
    const signal = checkSignal('signal', options.signal);

    signal?.throwIfAborted();
    const cache = cached ? await OpeningCache.open(['voc', source, classes, verifyImages, exif], signal) : undefined;
    const known = cache?.get('part');
    const content = (known && (await takePart(known, classes, signal))) ?? (await read());
    return new VocDataset(classes, content.samples.list(), content.issues, content.counts);

    async function read(): Promise<PartContent> {
      const footprint = new Footprint();
      const part = vocPart(await listVocFiles(source, footprint, signal), defaultLimits);
      const reading = {
        lookup: new ClassLookup(classes),
        verifyImages,
        exif,
        keepUnreadable: false,
        limits: defaultLimits,
      };
      const content = await readPart(part, { ...reading, footprint, signal, onProgress });
      checkNotEmpty(placeOf(source), content.samples, content.issues);
      cache?.set('part', keepPart(content));
      await cache?.save(footprint, signal);
      return content;
    }
  }
}

function checkSource(options: VocDatasetOptions): VocSource {
  const own = ['classes', 'verifyImages', 'exif', 'cache', 'signal', 'onProgress'];
  const keys = Object.keys(checkKeys('options', options, ['images', 'annotations', 'root', 'split', ...own]));
  const given = keys.filter((key) => !own.includes(key)).sort();
  if (given.join() === 'annotations,images' && 'images' in options) {
    return {
      images: checkString('images', options.images),
      annotations: checkString('annotations', options.annotations),
    };
  }
  if (given.join() === 'root,split' && 'root' in options) {
    return { root: checkString('root', options.root), split: checkString('split', options.split) };
  }
  throw new TypeError(
    `Expected options images and annotations, or root and split, but received ${given.join(', ') || 'none of them'}`,
  );
}

function placeOf(source: VocSource): string {
  return 'root' in source ? `split "${source.split}" of "${source.root}"` : `"${source.images}"`;
}
