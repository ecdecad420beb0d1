import { availableParallelism } from 'node:os';
import { checkBoolean, checkFunction, checkKeys, checkString, suggestion, wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { runInSlices } from '../base/time-slices.ts';
import type { Box } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';
import { decodeImage, readImageSize } from '../images/image.ts';
import { checkClasses } from '../model/class-list.ts';
import type { Sample } from './dataset.ts';
import { type DatasetIssue, type DatasetIssueKind, formatIssues } from './dataset-issue.ts';
import type { VocAnnotation, VocObject } from './voc-annotation.ts';
import { listVocFiles, type VocPair, type VocSource } from './voc-files.ts';

/** Where a data set lies, and how it is opened: `images` and `annotations`, or `root` and `split`. */
export type VocDatasetOptions = VocSource & {
  /** `__background__` first. */
  classes: readonly string[];
  /** Decode every image once, so that a truncated one is found now and not in the middle of a run. Default true; else headers only. */
  verifyImages?: boolean;
  /** Aborted: the opening rejects with its reason. */
  signal?: AbortSignal;
  /** Called after every image; what it throws ends the opening. */
  onProgress?: (done: number, total: number) => void;
};

/**
 * A box narrower than this, in pixels, is as good as empty: float32, in which the model computes, could not tell its sides apart
 * after a flip in a very large image.
 */
const MIN_BOX_SIDE = 0.01;

/** The samples of a data set in Pascal VOC format, checked, in code-unit order of their ids. */
export class VocDataset {
  /** `__background__` first; a label's index in this list is its number in the model. */
  readonly classes: readonly string[];
  /** Images without objects are among them. */
  readonly samples: readonly Sample[];
  /** What had to be skipped or repaired. */
  readonly issues: readonly DatasetIssue[];

  private constructor(classes: readonly string[], samples: readonly Sample[], issues: readonly DatasetIssue[]) {
    this.classes = classes;
    this.samples = samples;
    this.issues = issues;
  }

  /** Of `samples`. */
  get length(): number {
    return this.samples.length;
  }

  /**
   * Reads every annotation and image of a source. What cannot be used is skipped or repaired, and listed in `issues`.
   *
   * Rejects with `DetectorError`: `DATASET_NOT_FOUND` (a folder or split is not there), `DATASET_EMPTY` (no image left, or none of
   * the annotated objects could be used); with the reason of `signal`; with `TypeError` or `RangeError` for wrong options.
   */
  static async open(options: VocDatasetOptions): Promise<VocDataset> {
    const source = checkSource(options);
    const classes = checkClasses('classes', options.classes);
    const verifyImages = checkBoolean('verifyImages', options.verifyImages ?? true);
    const onProgress = checkFunction('onProgress', options.onProgress ?? (() => {}));
    const { signal } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError(wrongArgument('signal', 'AbortSignal', signal));
    }

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
    checkNotEmpty(source, samples, allIssues);
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

function checkNotEmpty(source: VocSource, samples: Sample[], issues: DatasetIssue[]): void {
  const place = 'root' in source ? `split "${source.split}" of "${source.root}"` : `"${source.images}"`;
  const kept = samples.reduce((sum, { objects }) => sum + objects.length, 0);
  const lost = issues.some(({ object, action }) => object !== undefined && action === 'skipped');
  if (samples.length > 0 && (kept > 0 || !lost)) return;
  const what =
    samples.length === 0 ? 'no image with an annotation is left' : 'none of the annotated objects could be used';
  throw new DetectorError(
    'DATASET_EMPTY',
    `The data set in ${place} is empty: ${what}. ${formatIssues(issues)}`.trim(),
  );
}

/** Results in the order of the items, a few at a time. After a failure nothing new is begun, and nothing still runs. */
async function mapConcurrently<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = await action(items[index]!);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  const width = Math.min(4, Math.max(2, availableParallelism()));
  const ends = await Promise.allSettled(Array.from({ length: width }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return results;
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
  // Decoding, rather than something cheaper, finds exactly what decoding would fail on later.
  const reading = verifyImages ? decodeImage(imagePath) : readImageSize(imagePath);
  const size = await orIssue(reading, imagePath, 'image-unreadable', issues);
  if (annotation === undefined || size === undefined) return { issues };
  const { width, height } = size;
  issues.push(...compareSizes(annotation, { width, height }, annotationPath));

  const objects: GroundTruth[] = [];
  await runInSlices(
    (function* () {
      for (const [object, written] of annotation.objects.entries()) {
        const { truth, issue } = examine(written, { width, height }, lookup);
        if (truth) objects.push(truth);
        if (issue) issues.push({ file: annotationPath, object, ...issue });
        yield;
      }
    })(),
  );
  return { sample: { id, imagePath, width, height, objects }, issues };
}

/** What a reader gives; a `DetectorError` of it becomes an issue. */
async function orIssue<T>(reading: Promise<T>, file: string, kind: DatasetIssueKind, issues: DatasetIssue[]) {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error;
    issues.push({ file, kind, message: messageOf(error), action: 'skipped' });
    return undefined;
  }
}

interface Size {
  width: number;
  height: number;
}

function compareSizes({ size }: VocAnnotation, image: Size, file: string): DatasetIssue[] {
  if (size === undefined || (size.width === image.width && size.height === image.height)) return [];
  const turned = size.width === image.height && size.height === image.width;
  const hint = turned ? '; is it rotated by EXIF, and annotated upright?' : '';
  const message = `<size> is ${size.width} x ${size.height}, the stored image ${image.width} x ${image.height}${hint}`;
  return [{ file, kind: 'size-mismatch', message, action: 'kept' }];
}

/** The classes that objects may have: all but the background. */
class ClassLookup {
  readonly #names: string[];
  readonly #indices: Map<string, number>;
  readonly #hints = new Map<string, string>();

  constructor(classes: readonly string[]) {
    this.#names = classes.slice(1);
    this.#indices = new Map(this.#names.map((name, index) => [name, index + 1]));
  }

  indexOf(name: string): number | undefined {
    return this.#indices.get(name);
  }

  /** Worked out once for each unknown name: there are seldom many, but often very many objects of one. */
  nearTo(unknown: string): string {
    const hint = this.#hints.get(unknown) ?? suggestion(unknown, this.#names);
    this.#hints.set(unknown, hint);
    return hint;
  }
}

interface Verdict {
  truth?: GroundTruth;
  issue?: Pick<DatasetIssue, 'kind' | 'message' | 'action'>;
}

/** The ground truth that an annotated object stands for, and what is wrong with it. Nothing is shifted by one. */
function examine(object: VocObject, image: Size, lookup: ClassLookup): Verdict {
  const skip = (kind: DatasetIssueKind, message: string): Verdict => ({ issue: { kind, message, action: 'skipped' } });
  const { name, difficult, xmin, ymin, xmax, ymax } = object;
  if (name === '') return skip('annotation-invalid', 'it has no <name>, or more than one');
  const labelIndex = lookup.indexOf(name);
  if (labelIndex === undefined) {
    const shown = name.length > 80 ? `${name.slice(0, 80)}...` : name;
    return skip('unknown-class', `"${shown}" is not in the class list${lookup.nearTo(name)}`);
  }
  const written = `[${xmin}, ${ymin}, ${xmax}, ${ymax}]`;
  if (/NaN/.test(written))
    return skip('coordinate-invalid', `expected four finite numbers in <bndbox>, found ${written}`);
  if (isEmpty(object)) return skip('box-empty', `${written} needs xmin < xmax and ymin < ymax`);
  const box = {
    xmin: Math.max(0, xmin),
    ymin: Math.max(0, ymin),
    xmax: Math.min(image.width, xmax),
    ymax: Math.min(image.height, ymax),
  };
  const extent = `the image of ${image.width} x ${image.height}`;
  if (isEmpty(box)) return skip('box-outside', `${written} lies outside ${extent}`);
  const truth = { label: name, labelIndex, box, difficult };
  if (box.xmin === xmin && box.ymin === ymin && box.xmax === xmax && box.ymax === ymax) return { truth };
  return { truth, issue: { kind: 'box-clipped', message: `${written} reaches beyond ${extent}`, action: 'repaired' } };
}

function isEmpty({ xmin, ymin, xmax, ymax }: Box): boolean {
  return xmax - xmin < MIN_BOX_SIDE || ymax - ymin < MIN_BOX_SIDE;
}
