import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DetectorError, messageOf } from '../../base/errors.ts';
import { type JsonItem, readJsonItems } from '../../files/json-stream.ts';
import { raiseBytes } from '../annotation-limits.ts';
import type { DatasetIssue } from '../dataset-issue.ts';
import type { WrittenObject } from '../examine-objects.ts';
import type { FileTree } from '../file-tree.ts';
import { GrowingArray } from '../growing-array.ts';
import { ImageFinder } from '../image-finder.ts';
import { IssueLog } from '../issue-log.ts';
import { type PartName, partOfPath } from '../part-name.ts';
import { boxAround } from '../written-box.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FileHead, FoundDataset, Place } from './format.ts';
import { idOf, isPositive, isRecord, refuse, shorten } from './reading.ts';

/**
 * COCO's JSON of objects (https://cocodataset.org/#format-data), also as Roboflow, CVAT and Label Studio write it. It is read as a
 * stream: only numbers and names are kept.
 */
export const coco: DatasetFormat = {
  name: 'coco',
  title: 'COCO JSON',
  claims,
  locate,
};

/** Captions and what a detector found have no categories, panoptic files no boxes. */
function claims({ name, text }: FileHead): boolean {
  if (!/\.json$/i.test(name) || !/^\s*\{/.test(text)) return false;
  if (/(^|\/)(captions|panoptic|stuff)_[^/]*$/i.test(name) || text.includes('"segments_info"')) return false;
  return /"(images|annotations)"\s*:\s*\[/.test(text) && /"(file_name|bbox|category_id|categories)"/.test(text);
}

async function locate(claimed: readonly string[], place: Place): Promise<FoundDataset> {
  const files = new Map<PartName | 'all', string>();
  for (const file of claimed) {
    const part = place.file === undefined ? (partOfPath(file) ?? 'all') : 'all';
    const other = files.get(part);
    const better = other === undefined ? file : preferred(other, file);
    if (better === undefined) {
      throw new DetectorError(
        'CONFIG_INVALID',
        `Two COCO files in "${place.root}" are for the same images: ${other} and ${file}. Give one of them as the data set`,
      );
    }
    files.set(part, better);
  }
  if (files.has('all') && files.size > 1) {
    const named = [...files.values()].join(', ');
    throw new DetectorError('CONFIG_INVALID', `COCO files of which some name no part: ${named}. Give one of them`);
  }
  const reading = new Map<string, Promise<CocoFile>>();
  const read = (file: string) => {
    place.footprint.describe(join(place.root, file));
    const known = reading.get(file) ?? readCocoFile(join(place.root, file), place);
    reading.set(file, known);
    return known;
  };
  const parsed = await Promise.all([...files.values()].map(read));
  return {
    description: [...files.values()].join(', '),
    classes: [...new Set(parsed.flatMap(({ classes }) => classes))],
    parts: new Map([...files].map(([part, file]) => [part, async () => partOf(await read(file), file, place)])),
  };
}

/** COCO's own folder of annotations has boxes of persons with key points beside those of all objects. */
function preferred(a: string, b: string): string | undefined {
  const [first, second] = [a, b].map((file) => /(^|\/)instances_[^/]*$/.test(file));
  if (first === second) return undefined;
  return first ? a : b;
}

interface CocoImage {
  /** In the list of images. */
  position: number;
  fileName: string;
  width: number;
  height: number;
}

/** Annotations in columns: a million of them are 45 MB. */
interface CocoFile {
  path: string;
  images: (CocoImage | undefined)[];
  /** By image: where its annotations begin in `order`, and one more. */
  starts: Int32Array;
  order: Int32Array;
  categories: Int32Array;
  boxes: Float64Array;
  crowd: Uint8Array;
  /** Of the annotation in the file. */
  positions: Int32Array;
  names: (string | undefined)[];
  classes: string[];
  issues: IssueLog;
}

type Id = number | string;

async function readCocoFile(path: string, { limits, signal }: Place): Promise<CocoFile> {
  const columns = new CocoColumns(path);
  try {
    const options = {
      maxItemBytes: limits.maxAnnotationBytes,
      remedy: raiseBytes,
      ignore: ['licenses', 'info'],
      signal,
    };
    for await (const item of readJsonItems(path, options)) columns.add(item);
    return await columns.finish();
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof DetectorError ? error : refuse(path, 'COCO JSON', messageOf(error));
  }
}

interface Category {
  id: Id;
  name: string;
  supercategory: string;
}

class CocoColumns {
  readonly #path: string;
  readonly #images: (CocoImage | undefined)[] = [];
  readonly #imageSlots = new Map<Id, number>();
  readonly #categorySlots = new Map<Id, number>();
  readonly #listed: Category[] = [];
  readonly #imageOf = new GrowingArray(Int32Array);
  readonly #categories = new GrowingArray(Int32Array);
  readonly #boxes = new GrowingArray(Float64Array);
  readonly #crowd = new GrowingArray(Uint8Array);
  readonly #positions = new GrowingArray(Int32Array);
  readonly #issues = new IssueLog();
  readonly #keys = new Set<string>();

  constructor(path: string) {
    this.#path = path;
  }

  add({ key, index, value }: JsonItem): void {
    this.#keys.add(key);
    if (index === undefined) return;
    const record = isRecord(value) ? value : undefined;
    if (key === 'images') this.#addImage(record, index);
    else if (key === 'annotations') this.#addAnnotation(record, index);
    else if (key === 'categories') this.#addCategory(record, index);
  }

  #addImage(image: Record<string, unknown> | undefined, index: number): void {
    const { id, file_name, width, height } = image ?? {};
    if (!isId(id) || typeof file_name !== 'string' || file_name === '') {
      this.#report('annotation-invalid', `images[${index}] needs an id and a file_name`);
      return;
    }
    const slot = slotOf(this.#imageSlots, id);
    if (this.#images[slot] !== undefined) {
      this.#report(
        'duplicate-id',
        `images[${index}] has the id ${id} of "${shorten(this.#images[slot].fileName)}" again`,
      );
      return;
    }
    const sized = isPositive(width) && isPositive(height);
    this.#images[slot] = { position: index, fileName: file_name, width: sized ? width : 0, height: sized ? height : 0 };
  }

  #addAnnotation(annotation: Record<string, unknown> | undefined, index: number): void {
    const { image_id, category_id, bbox, iscrowd, segmentation } = annotation ?? {};
    if (annotation && 'segments_info' in annotation) {
      throw refuse(this.#path, 'COCO JSON', 'it is a panoptic file, which has no boxes. Give the instances_*.json');
    }
    if (annotation && 'caption' in annotation && !('bbox' in annotation)) {
      throw refuse(this.#path, 'COCO JSON', 'it has captions and no boxes. Give the instances_*.json');
    }
    if (!isId(image_id)) {
      const message = `annotations[${index}] needs an image_id`;
      this.#issues.add({ file: this.#path, object: index, kind: 'annotation-invalid', message, action: 'skipped' });
      return;
    }
    this.#imageOf.push(slotOf(this.#imageSlots, image_id));
    this.#categories.push(isId(category_id) ? slotOf(this.#categorySlots, category_id) : -1);
    for (const side of boxOf(bbox, segmentation)) this.#boxes.push(side);
    this.#crowd.push(iscrowd === 1 || iscrowd === true ? 1 : 0);
    this.#positions.push(index);
  }

  #addCategory(category: Record<string, unknown> | undefined, index: number): void {
    const { id, name, supercategory } = category ?? {};
    if (!isId(id) || typeof name !== 'string' || name.trim() === '') {
      const message = `categories[${index}] needs an id and a name`;
      this.#issues.add({ file: this.#path, object: index, kind: 'annotation-invalid', message, action: 'skipped' });
      return;
    }
    const parent = typeof supercategory === 'string' ? supercategory : '';
    this.#listed.push({ id, name: name.trim().normalize('NFC'), supercategory: parent });
  }

  #report(kind: DatasetIssue['kind'], message: string): void {
    this.#issues.add({ file: this.#path, kind, message, action: 'skipped' });
  }

  async finish(): Promise<CocoFile> {
    const absent = ['images', 'annotations', 'categories'].filter(
      (key) => !this.#keys.has(key) && key !== 'annotations',
    );
    if (absent.length > 0) throw new Error(`it has no ${absent.join(' and no ')}, or none with entries`);
    const imageOf = this.#imageOf.trimmed();
    const { starts, order } = await groupBy(imageOf, this.#imageSlots.size);
    this.#reportLost(starts);
    const used = new Set(this.#categories.trimmed());
    const taken = this.#listed.filter((category) => !this.#isRoboflowsRoot(category, used));
    const names: (string | undefined)[] = [];
    for (const { id, name } of taken) names[slotOf(this.#categorySlots, id)] = name;
    return {
      path: this.#path,
      images: Array.from({ length: this.#imageSlots.size }, (_, slot) => this.#images[slot]),
      ...{ starts, order, names },
      classes: [...new Set(taken.map(({ name }) => name))],
      categories: this.#categories.trimmed(),
      boxes: this.#boxes.trimmed(),
      crowd: this.#crowd.trimmed(),
      positions: this.#positions.trimmed(),
      issues: this.#issues,
    };
  }

  /** Roboflow's first category is the project itself, which no object has and all others name as their supercategory. */
  #isRoboflowsRoot({ id, name }: Category, used: ReadonlySet<number>): boolean {
    if (id !== 0 || used.has(this.#categorySlots.get(id) ?? -1) || this.#listed.length < 2) return false;
    return this.#listed.every((other) => other.id === id || other.supercategory === name);
  }

  #reportLost(starts: Int32Array): void {
    for (const [id, slot] of this.#imageSlots) {
      const count = starts[slot + 1]! - starts[slot]!;
      if (this.#images[slot] !== undefined || count === 0) continue;
      this.#report(
        'image-missing',
        `${count} annotations are of the image ${JSON.stringify(id)}, which "images" does not list`,
      );
    }
  }
}

/** Positions by group, in their order: a counting sort. */
async function groupBy(group: Int32Array, groups: number): Promise<{ starts: Int32Array; order: Int32Array }> {
  const starts = new Int32Array(groups + 1);
  for (let i = 0; i < group.length; i++) starts[group[i]! + 1]!++;
  for (let i = 0; i < groups; i++) starts[i + 1]! += starts[i]!;
  await setImmediate();
  const next = starts.slice();
  const order = new Int32Array(group.length);
  for (let i = 0; i < group.length; i++) order[next[group[i]!]!++] = i;
  return { starts, order };
}

/** Corners of `bbox` (x, y, width, height), else of the polygons; NaN where there are neither. */
function boxOf(bbox: unknown, segmentation: unknown): [number, number, number, number] {
  if (Array.isArray(bbox) && bbox.length === 4) {
    const [x, y, width, height] = bbox.map((value) => (typeof value === 'number' ? value : Number.NaN));
    return [x!, y!, x! + width!, y! + height!];
  }
  const polygons = Array.isArray(segmentation) ? segmentation.flat() : [];
  const { xmin, ymin, xmax, ymax } = boxAround(polygons);
  return [xmin, ymin, xmax, ymax];
}

async function partOf(content: CocoFile, file: string, place: Place): Promise<WrittenPart> {
  const tree = await place.images();
  const finder = new ImageFinder(tree);
  const issues = new IssueLog();
  issues.addLog(content.issues);
  const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '';
  const near = /(^|\/)annotations$/i.test(folder) || folder === '' ? partFolder(file, tree) : folder;
  const found: { slot: number; path: string }[] = [];
  const paths = new Set<string>();
  for (const [slot, image] of content.images.entries()) {
    if (slot % 10_000 === 0) await setImmediate(undefined, { signal: place.signal });
    if (image === undefined) continue;
    const path = finder.find(image.fileName, near);
    if (path !== undefined && !paths.has(path)) found.push({ slot, path });
    if (path !== undefined && paths.has(path)) {
      const message = `lists "${shorten(image.fileName)}" more than once`;
      issues.add({ file: content.path, kind: 'duplicate-id', message, action: 'skipped' });
    }
    if (path !== undefined) paths.add(path);
    else {
      const message = `no image "${shorten(image.fileName)}" below "${tree.root}"${finder.hint(image.fileName)}`;
      issues.add({ file: content.path, kind: 'image-missing', message, action: 'skipped' });
    }
  }
  // Annotations that come first have numbered the images in their own order.
  found.sort((a, b) => content.images[a.slot]!.position - content.images[b.slot]!.position);
  return {
    length: found.length,
    at: (index) => imageAt(content, found[index]!, tree.root),
    issues,
    trees: [tree],
  };
}

/** Of "annotations/instances_train2017.json" the folder "train2017", where there is one. */
function partFolder(file: string, tree: FileTree): string {
  const stem = file.replace(/^.*\//, '').replace(/\.json$/i, '');
  const name = stem.slice(stem.lastIndexOf('_') + 1);
  return tree.files.some((path) => path.startsWith(`${name}/`)) ? name : '';
}

function imageAt(content: CocoFile, { slot, path }: { slot: number; path: string }, root: string): WrittenImage {
  const { starts, order, images } = content;
  const { width, height } = images[slot]!;
  const objects: WrittenObject[] = [];
  for (let i = starts[slot]!; i < starts[slot + 1]!; i++) objects.push(objectAt(content, order[i]!));
  return {
    id: idOf(path, root),
    imagePath: path,
    annotationPath: content.path,
    ...(width > 0 && { size: { width, height } }),
    objects,
  };
}

function objectAt(content: CocoFile, at: number): WrittenObject {
  const { categories, boxes, crowd, positions, names } = content;
  const name = categories[at]! < 0 ? undefined : names[categories[at]!];
  const [xmin, ymin, xmax, ymax] = boxes.subarray(4 * at, 4 * at + 4) as unknown as [number, number, number, number];
  const object = { label: name ?? '', box: { xmin, ymin, xmax, ymax }, difficult: false, position: positions[at]! };
  if (crowd[at])
    return { ...object, fault: { kind: 'crowd', message: 'iscrowd: its box is around a crowd, not an object' } };
  if (name === undefined) {
    return { ...object, fault: { kind: 'annotation-invalid', message: 'its category_id is not among the categories' } };
  }
  return object;
}

/** The number of an id, the next one for a new id. */
function slotOf(slots: Map<Id, number>, id: Id): number {
  const known = slots.get(id);
  if (known !== undefined) return known;
  slots.set(id, slots.size);
  return slots.size - 1;
}

function isId(value: unknown): value is Id {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= 200);
}
