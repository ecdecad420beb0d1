import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { messageOf } from '../../base/errors.ts';
import { readBoundedFile } from '../../files/bounded-file.ts';
import { raiseBytes } from '../annotation-limits.ts';
import type { DatasetIssue } from '../dataset-issue.ts';
import type { WrittenObject } from '../examine-objects.ts';
import { ImageFinder } from '../image-finder.ts';
import { IssueLog } from '../issue-log.ts';
import { type PartName, partOfPath } from '../part-name.ts';
import { boxAround } from '../written-box.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FileHead, FoundDataset, Place } from './format.ts';
import { asNumber, className, idOf, isPositive, isRecord, refuse, shorten } from './reading.ts';

/** Hugging Face's ImageFolder with `metadata.jsonl` (https://huggingface.co/docs/datasets/image_dataset#object-detection). */
export const imageFolder: DatasetFormat = {
  name: 'imagefolder',
  title: 'ImageFolder with metadata.jsonl',
  claims: ({ name, text }: FileHead) =>
    /(^|\/)[^/]*\.jsonl$/i.test(name) && /"(file_name|image_path|file)"\s*:/.test(text),
  locate,
};

async function locate(claimed: readonly string[], place: Place): Promise<FoundDataset> {
  const byPart = new Map<PartName | 'all', string[]>();
  for (const file of claimed) {
    const part = place.file === undefined ? (partOfPath(file) ?? 'all') : 'all';
    byPart.set(part, [...(byPart.get(part) ?? []), file]);
    place.footprint.describe(join(place.root, file));
  }
  const classes = await declaredClasses(place);
  return {
    description: claimed.slice(0, 3).join(', '),
    ...(classes && { classes }),
    parts: new Map([...byPart].map(([part, files]) => [part, async () => readPart(files, classes, place)])),
  };
}

/** The names that the card of the data set (README.md) has for numbers: "'0': cat". */
async function declaredClasses({ root, footprint }: Place): Promise<string[] | undefined> {
  footprint.describe(join(root, 'README.md'));
  const card = (await readBoundedFile(join(root, 'README.md'), 1024 ** 2).catch(() => Buffer.alloc(0))).toString(
    'utf8',
  );
  const block = /class_label:\s*\n\s*names:\s*\n((?:\s+['"]?\d+['"]?\s*:.*\n?)+)/.exec(card)?.[1];
  const names = [...(block ?? '').matchAll(/['"]?(\d+)['"]?\s*:\s*(.+)/g)].map(
    ([, number, name]) => [Number(number), name!] as const,
  );
  if (names.length === 0) return undefined;
  return names.sort(([a], [b]) => a - b).map(([, name]) => className(name.replace(/^(['"])(.*)\1\s*$/, '$2')));
}

async function readPart(
  files: readonly string[],
  classes: readonly string[] | undefined,
  place: Place,
): Promise<WrittenPart> {
  const tree = await place.images();
  const finder = new ImageFinder(tree);
  const issues = new IssueLog();
  const images: WrittenImage[] = [];
  const seen = new Set<string>();
  for (const file of files) {
    const annotationPath = join(place.root, file);
    const skip = (kind: DatasetIssue['kind'], message: string) =>
      issues.add({ file: annotationPath, kind, message, action: 'skipped' });
    for await (const { line, number } of linesOf(annotationPath, place)) {
      const row = parseRow(line);
      const name = isRecord(row) ? (row.file_name ?? row.image_path ?? row.file) : undefined;
      if (!isRecord(row) || typeof name !== 'string') {
        skip('annotation-invalid', `line ${number} is no JSON object with a file_name: ${shorten(line, 40)}`);
        continue;
      }
      const folder = dirname(file) === '.' ? '' : dirname(file);
      const imagePath = finder.findExactly(folder === '' ? name : `${folder}/${name}`) ?? finder.find(name, folder);
      if (imagePath === undefined)
        skip('image-missing', `line ${number}: no image "${shorten(name)}"${finder.hint(name)}`);
      else if (seen.has(imagePath)) skip('duplicate-file', `line ${number} has "${shorten(name)}" again`);
      else images.push(readRow(row, imagePath, annotationPath, classes ?? place.classes, tree.root));
      if (imagePath !== undefined) seen.add(imagePath);
    }
  }
  return {
    length: images.length,
    at: (index) => images[index]!,
    issues,
    trees: [tree],
  };
}

async function* linesOf(path: string, { limits, signal }: Place): AsyncGenerator<{ line: string; number: number }> {
  const stream = createReadStream(path, { encoding: 'utf8', signal });
  let number = 0;
  let pending = 0;
  stream.on('data', (chunk) => {
    pending = chunk.includes('\n') ? 0 : pending + chunk.length;
    if (pending > limits.maxAnnotationBytes)
      stream.destroy(
        new Error(`line ${number + 1} has more than the ${limits.maxAnnotationBytes} bytes allowed${raiseBytes}`),
      );
  });
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() !== '') yield { line: number === 1 ? line.replace(/^\ufeff/, '') : line, number };
    }
    if (stream.errored) throw stream.errored;
  } catch (error) {
    signal?.throwIfAborted();
    throw refuse(path, 'metadata.jsonl', messageOf(error), error);
  }
}

function parseRow(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function readRow(
  row: Record<string, unknown>,
  imagePath: string,
  annotationPath: string,
  classes: readonly string[] | undefined,
  root: string,
): WrittenImage {
  const { width, height } = row;
  const sized = isPositive(width) && isPositive(height);
  return {
    id: idOf(imagePath, root),
    imagePath,
    annotationPath,
    ...(sized && { size: { width, height } }),
    objects: objectsOf(row.objects ?? row).map(({ bbox, category }) => toObject(bbox, category, classes)),
  };
}

interface WrittenBox {
  bbox: unknown;
  category: unknown;
}

/** Lists beside each other (`bbox`, `categories`), or a list of objects. */
function objectsOf(value: unknown): WrittenBox[] {
  if (Array.isArray(value)) {
    return value.map((each) =>
      isRecord(each) ? { bbox: each.bbox, category: categoryOf(each) } : { bbox: each, category: undefined },
    );
  }
  if (!isRecord(value)) return [];
  const boxes = Array.isArray(value.bbox) ? value.bbox : Array.isArray(value.bboxes) ? value.bboxes : [];
  const categories = categoryOf(value);
  return boxes.map((bbox, i) => ({ bbox, category: Array.isArray(categories) ? categories[i] : categories }));
}

function categoryOf(value: Record<string, unknown>): unknown {
  return value.categories ?? value.category ?? value.labels ?? value.label ?? value.category_id;
}

/** `bbox` is COCO's: x, y, width, height. */
function toObject(bbox: unknown, category: unknown, classes: readonly string[] | undefined): WrittenObject {
  const [x, y, width, height] = (Array.isArray(bbox) && bbox.length === 4 ? bbox : []).map(asNumber);
  const box = x === undefined ? boxAround([]) : { xmin: x, ymin: y!, xmax: x + width!, ymax: y! + height! };
  const label = typeof category === 'number' ? (classes?.[category] ?? `class_${category}`) : className(category);
  if (label !== '') return { label, box, difficult: false };
  return { label, box, difficult: false, fault: { kind: 'annotation-invalid', message: 'it has no category' } };
}
