import { mapConcurrently } from '../base/map-concurrently.ts';
import { runInSlices } from '../base/time-slices.ts';
import { type AnnotationLimits, raiseObjects } from './annotation-limits.ts';
import { countIgnored } from './count-ignored.ts';
import type { DatasetCounts } from './dataset-counts.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { type ClassLookup, examineObjects, type WrittenObject } from './examine-objects.ts';
import type { Footprint } from './footprint.ts';
import { IssueLog } from './issue-log.ts';
import type { PartName } from './part-name.ts';
import { type ExifMode, readSize } from './read-size.ts';
import type { Sample } from './sample.ts';
import { type SampleTable, SampleTableBuilder } from './sample-table.ts';
import { TreeMarks } from './tree-marks.ts';
import { scaleToImage } from './written-box.ts';
import type { WrittenImage, WrittenPart } from './written-image.ts';

/** How the images of a part are read. */
export interface PartOptions {
  lookup: ClassLookup;
  verifyImages: boolean;
  exif: ExifMode;
  maxPixels?: number;
  limits: AnnotationLimits;
  /** Keep an image, without objects, none of whose objects could be read. */
  keepUnreadable: boolean;
  /** The part that it is, where the data set has parts. */
  split?: PartName | undefined;
  footprint: Footprint;
  signal?: AbortSignal | undefined;
  onProgress: (done: number, total: number) => void;
}

/** What became of a part. */
export interface PartContent {
  samples: SampleTable;
  issues: DatasetIssue[];
  counts: DatasetCounts;
}

interface ReadImage {
  sample?: Sample;
  issues: DatasetIssue[];
}

/** Rounding of numbers with six digits: what reaches so little beyond the image is at its edge. */
const ROUNDING = 1e-5;

/** Reads every image of a part and compares its objects with it. */
export async function readPart(part: WrittenPart, options: PartOptions): Promise<PartContent> {
  const { signal, onProgress, footprint } = options;
  const content = new PartBuilder(part);
  const claimed = part.trees.map((tree) => new TreeMarks(tree));
  for (const file of part.issues.files) for (const tree of claimed) tree.mark(file);
  let done = 0;
  await mapConcurrently({ length: part.length }, async (_, index) => {
    signal?.throwIfAborted();
    const written = await part.at(index);
    for (const path of [written.imagePath, written.annotationPath]) {
      footprint.use(path);
      for (const tree of claimed) tree.mark(path);
    }
    content.put(index, await readImage(written, options));
    onProgress(++done, part.length);
  });
  signal?.throwIfAborted();
  return content.finish(options, countIgnored(part, claimed, footprint, options.split));
}

/** Puts what was read together, in the order of the part and not in that in which it comes. */
class PartBuilder {
  readonly #part: WrittenPart;
  readonly #samples = new SampleTableBuilder();
  readonly #issues = new IssueLog();
  readonly #waiting = new Map<number, ReadImage>();
  #next = 0;
  #used = 0;
  /** The first image with objects, and whether all objects so far lie in the first pixel. */
  #first: Sample | undefined;
  #areRelative = true;

  constructor(part: WrittenPart) {
    this.#part = part;
    this.#issues.addAll(part.issues.list());
  }

  put(index: number, image: ReadImage): void {
    this.#waiting.set(index, image);
    for (;;) {
      const next = this.#waiting.get(this.#next);
      if (next === undefined) return;
      this.#waiting.delete(this.#next++);
      this.#add(next);
    }
  }

  #add({ sample, issues }: ReadImage): void {
    this.#issues.addAll(issues);
    if (sample === undefined) return;
    this.#samples.push(sample);
    if (sample.objects.length > 0) this.#used++;
    if (sample.objects.length > 0) this.#first ??= sample;
    this.#areRelative &&= sample.width > 16 && sample.objects.every(({ box }) => box.xmax <= 1 && box.ymax <= 1);
  }

  finish({ lookup }: PartOptions, ignoredBecause: ReadonlyMap<string, number>): PartContent {
    const { length, issues } = this.#part;
    const samples = this.#samples.finish(lookup.classes);
    this.#lookOver(samples);
    const { lostFiles } = issues;
    const ignored = [...ignoredBecause.values()].reduce((sum, count) => sum + count, 0);
    const counts = {
      seen: length + lostFiles + ignored,
      used: this.#used,
      background: samples.length - this.#used,
      skipped: length - samples.length + lostFiles,
      ignored,
      ignoredBecause: Object.fromEntries(ignoredBecause),
    };
    return { samples, issues: this.#issues.list(), counts };
  }

  /** What shows only in all images together. */
  #lookOver(samples: SampleTable): void {
    const { place } = this.#part;
    if (this.#first === undefined && samples.length > 0) {
      const message = `none of the ${samples.length} images has an object${place === undefined ? '' : `: labels were looked for in ${place}`}`;
      this.#issues.add({ file: samples.at(0).imagePath, kind: 'no-objects', message, action: 'kept' });
    }
    if (this.#first && this.#areRelative) {
      const message =
        'all coordinates of all objects are from 0 to 1: they look like parts of the image, and pixels were expected. Multiply them by its width and height';
      this.#issues.add({ file: this.#first.imagePath, kind: 'coordinates-relative', message, action: 'kept' });
    }
  }
}

async function readImage(written: WrittenImage, options: PartOptions): Promise<ReadImage> {
  const { id, imagePath, annotationPath: file, size: stated, unusable } = written;
  const issues: DatasetIssue[] = [...(written.issues ?? [])];
  const { verifyImages: verify, exif, maxPixels, lookup, signal } = options;
  const image = await readSize(
    { imagePath, what: written.sizeName ?? 'its stated size', stated, file },
    { verify, exif, maxPixels },
    issues,
  );
  if (image === undefined || unusable) return { issues };
  const { maxObjects } = options.limits;
  if (written.objects.length > maxObjects) {
    const message = `${id} has ${written.objects.length} objects, more than ${maxObjects}${raiseObjects}`;
    issues.push({ file, kind: 'annotation-invalid', message, action: 'skipped' });
    return { issues };
  }
  const objects = written.relative ? written.objects.map((object) => inPixels(object, image)) : written.objects;
  const examined = await runInSlices(examineObjects(objects, image, file, lookup), undefined, signal);
  for (const issue of examined.issues) issues.push(issue);
  if (examined.objects.length === 0 && examined.unreadable > 0 && !options.keepUnreadable) {
    const count = `${examined.unreadable} ${examined.unreadable === 1 ? 'object' : 'objects'}`;
    const message = `none of its ${count} could be read, so that it would be taken for background: it is left out (keepUnreadable keeps it)`;
    issues.push({ file: imagePath, kind: 'objects-unreadable', message, action: 'skipped' });
    return { issues };
  }
  return { sample: { id, imagePath, ...image, objects: examined.objects }, issues };
}

function inPixels(object: WrittenObject, { width, height }: { width: number; height: number }): WrittenObject {
  const { xmin, ymin, xmax, ymax } = object.box;
  const box = { xmin: atEdge(xmin), ymin: atEdge(ymin), xmax: atEdge(xmax), ymax: atEdge(ymax) };
  return { ...object, box: scaleToImage(box, width, height) };
}

function atEdge(side: number): number {
  if (side < 0 && side > -ROUNDING) return 0;
  return side > 1 && side < 1 + ROUNDING ? 1 : side;
}
