import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkKeys,
  checkSequence,
  checkString,
  wrongArgument,
} from '../base/check.ts';
import { mapConcurrently } from '../base/map-concurrently.ts';
import { checkSignal } from '../base/signal.ts';
import { runInSlices } from '../base/time-slices.ts';
import type { Size } from '../boxes/box.ts';
import { checkClasses } from '../model/class-list.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { ClassLookup, examineObjects, type WrittenObject } from './examine-objects.ts';
import { IssueLog } from './issue-log.ts';
import { checkNotEmpty } from './not-empty.ts';
import { type ReadSize, readSize } from './read-size.ts';
import type { ObjectInput, Sample, SampleInput } from './sample.ts';
import { type SampleTable, SampleTableBuilder } from './sample-table.ts';

/** The options of `Dataset.from`. */
export interface DatasetSource {
  /** The names of the classes, for example `['cat', 'dog']`. */
  classes: readonly string[];
  /**
   * Whether to decode every image once, so that a broken one is found now and not in the middle of a run.
   * @default false
   */
  verifyImages?: boolean | undefined;
  /**
   * The problems that your own loader skipped or repaired. They come first in the `issues` of the data set.
   * @default none
   */
  issues?: readonly DatasetIssue[] | undefined;
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal | undefined;
  /**
   * Called after every image file that was read. An error that it throws ends the call.
   * @default none
   */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a data set consists of. */
interface DatasetContent {
  classes: readonly string[];
  samples: readonly Sample[];
  issues: DatasetIssue[];
}

/** A sample whose form was checked, but not yet its content. */
interface Written {
  id: string;
  imagePath: string;
  /** The file that issues of its objects name. */
  file: string;
  size?: Size;
  objects: WrittenObject[];
}

/** A sample with the size of its image; without one it is skipped. */
interface Sized {
  written: Written;
  image: ReadSize | undefined;
  issues: DatasetIssue[];
}

/** What `Dataset.from` does. */
export async function readSamples(input: readonly SampleInput[], options: DatasetSource): Promise<DatasetContent> {
  const { classes, verifyImages, issues: own, signal, onProgress } = checkSource(options);
  const list = checkSequence('samples', input, 0, Number.MAX_SAFE_INTEGER);
  const written = await runInSlices(checkSamples(list), undefined, signal);
  const toRead = written.filter(({ size }) => verifyImages || size === undefined).length;
  let done = 0;
  const sized = await mapConcurrently(written, async (each) => {
    if (!verifyImages && each.size) return { written: each, image: each.size, issues: [] };
    signal?.throwIfAborted();
    const found = await measure(each, verifyImages);
    onProgress?.(++done, toRead);
    return found;
  });
  const log = new IssueLog();
  log.addAll(own);
  const samples = await runInSlices(examine(sized, new ClassLookup(classes), log), undefined, signal);
  const issues = log.list();
  checkNotEmpty('the given samples', samples, issues);
  return { classes, samples: samples.list(), issues };
}

function checkSource(options: DatasetSource) {
  const keys = ['classes', 'verifyImages', 'issues', 'signal', 'onProgress'];
  const { classes, verifyImages, issues, signal, onProgress } = checkKeys(
    'options',
    options,
    keys,
  ) as never as DatasetSource;
  if (issues !== undefined) checkSequence('issues', issues, 0, Number.MAX_SAFE_INTEGER);
  if (onProgress !== undefined) checkFunction('onProgress', onProgress);
  return {
    classes: checkClasses('classes', classes),
    verifyImages: checkBoolean('verifyImages', verifyImages ?? false),
    issues: issues ?? [],
    signal: checkSignal('signal', signal),
    onProgress,
  };
}

function* checkSamples(list: readonly unknown[]): Generator<void, Written[]> {
  const written: Written[] = [];
  for (const [i, value] of list.entries()) {
    written.push(checkSample(`samples[${i}]`, value));
    yield;
  }
  return written;
}

function checkSample(name: string, value: unknown): Written {
  const keys = ['imagePath', 'id', 'width', 'height', 'objects', 'annotationPath'];
  const { imagePath, id, width, height, objects, annotationPath } = checkKeys(name, value, keys);
  const path = checkString(`${name}.imagePath`, imagePath);
  const list = checkSequence(`${name}.objects`, objects, 0, Number.MAX_SAFE_INTEGER);
  const size = width === undefined && height === undefined ? undefined : checkSize(name, width, height);
  return {
    id: checkString(`${name}.id`, id ?? path),
    imagePath: path,
    file: checkString(`${name}.annotationPath`, annotationPath ?? path),
    ...(size && { size }),
    objects: list.map((object, i) => checkObject(`${name}.objects[${i}]`, object)),
  };
}

function checkSize(name: string, width: unknown, height: unknown): Size {
  return { width: checkInteger(`${name}.width`, width, 1), height: checkInteger(`${name}.height`, height, 1) };
}

/** Numbers that are not finite are no error here: they become an issue, as in a file. */
function checkObject(name: string, value: unknown): WrittenObject {
  const { label, box, difficult } = checkKeys(name, value, ['label', 'box', 'difficult']) as Partial<ObjectInput>;
  const sides = checkKeys(`${name}.box`, box, ['xmin', 'ymin', 'xmax', 'ymax']);
  const side = (key: string) => {
    const number = sides[key];
    if (typeof number !== 'number') throw new TypeError(wrongArgument(`${name}.box.${key}`, 'number', number));
    return number;
  };
  return {
    label: checkString(`${name}.label`, label),
    box: { xmin: side('xmin'), ymin: side('ymin'), xmax: side('xmax'), ymax: side('ymax') },
    difficult: checkBoolean(`${name}.difficult`, difficult ?? false),
  };
}

async function measure(written: Written, verify: boolean): Promise<Sized> {
  const issues: DatasetIssue[] = [];
  const { imagePath, size: stated, file } = written;
  const image = await readSize({ imagePath, what: 'the given size', stated, file }, { verify }, issues);
  return { written, image, issues };
}

function* examine(sized: readonly Sized[], lookup: ClassLookup, log: IssueLog): Generator<void, SampleTable> {
  const samples = new SampleTableBuilder();
  for (const { written, image, issues } of sized) {
    log.addAll(issues);
    yield;
    if (!image) continue;
    const { id, imagePath, file } = written;
    const { objects, issues: wrong } = yield* examineObjects(written.objects, image, file, lookup);
    samples.push({ id, imagePath, ...image, objects });
    log.addAll(wrong);
  }
  return samples.finish(lookup.classes);
}
