import { checkBoolean, checkFunction, checkKeys, checkString } from '../base/check.ts';
import { mapConcurrently } from '../base/map-concurrently.ts';
import { checkSignal } from '../base/signal.ts';
import { runInSlices } from '../base/time-slices.ts';
import type { Box } from '../boxes/box.ts';
import { checkClasses } from '../model/class-list.ts';
import { checked, type Dataset, type Sample } from './dataset.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { ClassLookup, examineObjects, type WrittenObject } from './examine-objects.ts';
import { checkNotEmpty } from './not-empty.ts';
import { compareSizes, orIssue, readSize } from './read-size.ts';
import type { VocObject } from './voc-annotation.ts';
import { listVocFiles, type VocPair, type VocSource } from './voc-files.ts';

/** The options of `VocDataset.open`: where the data set is (`images` and `annotations`, or `root` and `split`), and how it is read. */
export type VocDatasetOptions = VocSource & {
  /** The names of the classes. `__background__` may stand first, as in the article's files; it is left out. */
  classes: readonly string[];
  /**
   * Decode every image once, so that a truncated one is found now and not in the middle of a run. `false` reads the headers only.
   * @default true
   */
  verifyImages?: boolean;
  /** When it is aborted, `open` rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Called after every image. What it throws ends the call. */
  onProgress?: ((done: number, total: number) => void) | undefined;
};

/**
 * A data set in Pascal VOC format: its samples are checked, and in code-unit order of their ids.
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
  /** What had to be skipped or repaired. */
  readonly issues: readonly DatasetIssue[];

  private constructor(classes: readonly string[], samples: readonly Sample[], issues: readonly DatasetIssue[]) {
    this.classes = classes;
    this.samples = samples;
    this.issues = issues;
    checked(this);
  }

  /** The number of `samples`. */
  get length(): number {
    return this.samples.length;
  }

  /**
   * Reads every annotation and image of a data set. What cannot be used is skipped or repaired, and listed in `issues`.
   *
   * @throws {TypeError|RangeError} for a wrong option, naming it
   * @throws {DetectorError} `DATASET_NOT_FOUND` if a folder or split is not there; `DATASET_EMPTY` if no image is left, or none of the
   * annotated objects could be used
   * @throws the reason of `signal` when it is aborted
   */
  static async open(options: VocDatasetOptions): Promise<VocDataset> {
    const source = checkSource(options);
    const classes = checkClasses('classes', options.classes);
    const verifyImages = checkBoolean('verifyImages', options.verifyImages ?? true);
    const onProgress = checkFunction('onProgress', options.onProgress ?? (() => {}));
    const signal = checkSignal('signal', options.signal);

    signal?.throwIfAborted();
    const { pairs, issues } = await listVocFiles(source);
    const lookup = new ClassLookup(classes);
    let done = 0;
    const results = await mapConcurrently(pairs, async (pair) => {
      signal?.throwIfAborted();
      const result = await readSample(pair, lookup, verifyImages);
      onProgress(++done, pairs.length);
      return result;
    });
    signal?.throwIfAborted();

    const samples = results.flatMap(({ sample }) => sample ?? []);
    const allIssues = [...issues, ...results.flatMap((result) => result.issues)];
    checkNotEmpty(placeOf(source), samples, allIssues);
    return new VocDataset(classes, samples, allIssues);
  }
}

function checkSource(options: VocDatasetOptions): VocSource {
  const own = ['classes', 'verifyImages', 'signal', 'onProgress'];
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

interface SampleResult {
  sample?: Sample;
  issues: DatasetIssue[];
}

let annotations: Promise<typeof import('./voc-annotation.ts')> | undefined;

/** On first use: a program that only detects starts without an XML parser. */
function loadingAnnotations() {
  annotations ??= import('./voc-annotation.ts');
  return annotations;
}

async function readSample(pair: VocPair, lookup: ClassLookup, verifyImages: boolean): Promise<SampleResult> {
  const { id, imagePath, annotationPath } = pair;
  const issues: DatasetIssue[] = [];
  const { readVocAnnotation } = await loadingAnnotations();
  const annotation = await orIssue(readVocAnnotation(annotationPath), annotationPath, 'annotation-invalid', issues);
  const size = await readSize(imagePath, verifyImages, issues);
  if (annotation === undefined || size === undefined) return { issues };
  const { width, height } = size;
  issues.push(...compareSizes('<size>', annotation.size, size, annotationPath));
  const objects = annotation.objects.map(toWritten);
  const examined = await runInSlices(examineObjects(objects, { width, height }, annotationPath, lookup));
  return {
    sample: { id, imagePath, width, height, objects: examined.objects },
    issues: [...issues, ...examined.issues],
  };
}

/** The object with what is wrong with its XML. */
function toWritten({ name, difficult, ...box }: VocObject): WrittenObject {
  return { label: name, box, difficult, fault: faultOf(name, box) };
}

function faultOf(name: string, { xmin, ymin, xmax, ymax }: Box): WrittenObject['fault'] {
  if (name === '') return { kind: 'annotation-invalid', message: 'it has no <name>, or more than one' };
  const written = `[${xmin}, ${ymin}, ${xmax}, ${ymax}]`;
  if (!written.includes('NaN')) return undefined;
  return { kind: 'coordinate-invalid', message: `expected four finite numbers in <bndbox>, found ${written}` };
}
