import { mapConcurrently } from '../base/map-concurrently.ts';
import { runInSlices } from '../base/time-slices.ts';
import type { DatasetCounts } from './dataset-counts.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { type ClassLookup, examineObjects, type WrittenObject } from './examine-objects.ts';
import { type ExifMode, readSize } from './read-size.ts';
import type { Sample } from './sample.ts';
import { scaleToImage } from './written-box.ts';
import type { WrittenImage, WrittenPart } from './written-image.ts';

/** How the images of a part are read. */
export interface PartOptions {
  lookup: ClassLookup;
  verifyImages: boolean;
  exif: ExifMode;
  maxPixels?: number;
  /** Keep an image, without objects, none of whose objects could be read. */
  keepUnreadable: boolean;
  signal?: AbortSignal | undefined;
  onProgress: (done: number, total: number) => void;
}

/** What became of a part. */
export interface PartContent {
  samples: Sample[];
  issues: DatasetIssue[];
  counts: DatasetCounts;
}

/** What is listed twice is not lost. */
function isLostFile({ action, object, kind }: DatasetIssue): boolean {
  return action === 'skipped' && object === undefined && kind !== 'duplicate-id';
}

interface ReadImage {
  sample?: Sample;
  issues: DatasetIssue[];
}

/** Rounding of numbers with six digits: what reaches so little beyond the image is at its edge. */
const ROUNDING = 1e-5;

/** Reads every image of a part and compares its objects with it. */
export async function readPart(part: WrittenPart, options: PartOptions): Promise<PartContent> {
  const { signal, onProgress } = options;
  let done = 0;
  const results = await mapConcurrently(
    Array.from({ length: part.length }, (_, i) => i),
    async (index) => {
      signal?.throwIfAborted();
      const result = await readImage(await part.at(index), options);
      onProgress(++done, part.length);
      return result;
    },
  );
  signal?.throwIfAborted();
  const samples = results.flatMap(({ sample }) => sample ?? []);
  const issues = [...part.issues];
  for (const result of results) for (const issue of result.issues) issues.push(issue);
  const used = samples.filter(({ objects }) => objects.length > 0).length;
  const lostFiles = part.issues.filter(isLostFile).length;
  const ignored = [...part.ignored.values()].reduce((sum, count) => sum + count, 0);
  const counts = {
    seen: part.length + lostFiles + ignored,
    used,
    background: samples.length - used,
    skipped: part.length - samples.length + lostFiles,
    ignored,
    ignoredBecause: Object.fromEntries(part.ignored),
  };
  return { samples, issues: [...issues, ...lookOver(samples, part)], counts };
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

/** What shows only in all images together. */
function lookOver(samples: readonly Sample[], part: WrittenPart): DatasetIssue[] {
  const issues: DatasetIssue[] = [];
  const first = samples.find(({ objects }) => objects.length > 0);
  if (first === undefined && samples.length > 0) {
    const message = `none of the ${samples.length} images has an object${part.place === undefined ? '' : `: labels were looked for in ${part.place}`}`;
    issues.push({ file: samples[0]!.imagePath, kind: 'no-objects', message, action: 'kept' });
  }
  const isTiny = ({ box }: Sample['objects'][number]) => box.xmax <= 1 && box.ymax <= 1;
  const relative = (sample: Sample) => sample.width > 16 && sample.objects.every(isTiny);
  if (first && samples.every(relative)) {
    const message =
      'all coordinates of all objects are from 0 to 1: they look like parts of the image, and pixels were expected. Multiply them by its width and height';
    issues.push({ file: first.imagePath, kind: 'coordinates-relative', message, action: 'kept' });
  }
  return issues;
}
