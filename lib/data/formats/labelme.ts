import { dirname, join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { readJsonItems } from '../../files/json-stream.ts';
import { raiseBytes, raiseObjects } from '../annotation-limits.ts';
import type { DatasetIssue } from '../dataset-issue.ts';
import type { WrittenObject } from '../examine-objects.ts';
import { ImageFinder } from '../image-finder.ts';
import { IssueLog } from '../issue-log.ts';
import { type PartName, partOfPath } from '../part-name.ts';
import { boxAround } from '../written-box.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FoundDataset, Place } from './format.ts';
import { className, idOf, isPositive, isRecord, refuse, shorten } from './reading.ts';

/** LabelMe's JSON, one file for each image (https://github.com/wkentaro/labelme); also that of X-AnyLabeling. */
export const labelme: DatasetFormat = {
  name: 'labelme',
  title: 'LabelMe JSON',
  claims: ({ name, text }) => /\.json$/i.test(name) && /^\s*\{/.test(text) && /"shapes"\s*:\s*\[/.test(text),
  locate,
};

async function locate(_: readonly string[], place: Place): Promise<FoundDataset> {
  const files =
    place.file === undefined ? (await place.tree()).files.filter((file) => /\.json$/i.test(file)) : [place.file];
  const byPart = new Map<PartName | 'all', string[]>();
  for (const file of files) {
    const part = place.file === undefined ? (partOfPath(dirname(file)) ?? 'all') : 'all';
    const list = byPart.get(part);
    if (list) list.push(file);
    else byPart.set(part, [file]);
  }
  return {
    description: `${files.length} JSON ${files.length === 1 ? 'file' : 'files'}`,
    parts: new Map([...byPart].map(([part, list]) => [part, async () => readPart(list, place)])),
  };
}

async function readPart(files: readonly string[], place: Place): Promise<WrittenPart> {
  const tree = await place.images();
  const finder = new ImageFinder(tree);
  const issues = new IssueLog();
  const images: { file: string; imagePath: string }[] = [];
  const taken = new Map<string, string>();
  for (const file of files) {
    const imagePath = findByStem(finder, file);
    if (imagePath === undefined || taken.has(imagePath)) images.push({ file, imagePath: '' });
    else images.push({ file, imagePath });
    if (imagePath !== undefined) taken.set(imagePath, file);
  }
  const found = images.filter(({ imagePath }) => imagePath !== '');
  for (const { file } of images.filter(({ imagePath }) => imagePath === '')) {
    const imagePath = await findByContent(finder, file, place);
    if (typeof imagePath === 'string' && !taken.has(imagePath)) found.push({ file, imagePath });
    else issues.add(missingImage(join(place.root, file), imagePath, taken));
    if (typeof imagePath === 'string') taken.set(imagePath, file);
  }
  return {
    length: found.length,
    at: (index) => readImage(found[index]!, tree.root, place),
    issues,
    trees: [tree],
    annotationName: /\.json$/i,
  };
}

/** As LabelMe saves: `a.json` beside `a.jpg`. */
function findByStem(finder: ImageFinder, file: string): string | undefined {
  const stem = file.replace(/\.json$/i, '');
  for (const extension of ['jpg', 'jpeg', 'png', 'webp', 'JPG', 'JPEG', 'PNG']) {
    const path = finder.findExactly(`${stem}.${extension}`);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** By `imagePath`, which is relative to the file; what is wrong instead of a path where none is found. */
async function findByContent(
  finder: ImageFinder,
  file: string,
  place: Place,
): Promise<string | { name: string; hint: string }> {
  const { imagePath } = await readFields(join(place.root, file), place).catch(() => ({ imagePath: undefined }));
  const name = typeof imagePath === 'string' && imagePath !== '' ? imagePath : file.replace(/\.json$/i, '.jpg');
  return finder.find(name, dirname(file)) ?? { name, hint: finder.hint(name) };
}

function missingImage(
  file: string,
  found: string | { name: string; hint: string },
  taken: ReadonlyMap<string, string>,
): DatasetIssue {
  if (typeof found === 'string') {
    const message = `its image is that of ${taken.get(found)} already`;
    return { file, kind: 'duplicate-file', message, action: 'skipped' };
  }
  const message = `no image "${shorten(found.name)}"${found.hint}`;
  return { file, kind: 'image-missing', message, action: 'skipped' };
}

/** All but the image itself, which LabelMe may have put into its file. */
async function readFields(path: string, { limits, signal }: Place): Promise<Record<string, unknown>> {
  const fields: Record<string, unknown> = { shapes: [] };
  const options = { ignore: ['imageData'], maxItemBytes: limits.maxAnnotationBytes, remedy: raiseBytes, signal };
  for await (const { key, index, value } of readJsonItems(path, options)) {
    if (key === 'shapes' && index !== undefined) (fields.shapes as unknown[]).push(value);
    else if (index === undefined && key !== 'shapes' && key !== '__proto__') fields[key] = value;
    if ((fields.shapes as unknown[]).length > limits.maxObjects) {
      throw new Error(`it has more than ${limits.maxObjects} shapes${raiseObjects}`);
    }
  }
  return fields;
}

async function readImage(
  { file, imagePath }: { file: string; imagePath: string },
  root: string,
  place: Place,
): Promise<WrittenImage> {
  const annotationPath = join(place.root, file);
  const image = { id: idOf(imagePath, root), imagePath, annotationPath };
  try {
    const { shapes, imageWidth, imageHeight } = await readFields(annotationPath, place);
    const sized = isPositive(imageWidth) && isPositive(imageHeight);
    return {
      ...image,
      ...(sized && { size: { width: imageWidth, height: imageHeight } }),
      objects: (shapes as unknown[]).map(readShape),
    };
  } catch (error) {
    place.signal?.throwIfAborted();
    const { message } = refuse(annotationPath, 'LabelMe JSON', messageOf(error));
    return {
      ...image,
      objects: [],
      unusable: true,
      issues: [{ file: annotationPath, kind: 'annotation-invalid', message, action: 'skipped' }],
    };
  }
}

/** Shapes with an area, by the number of points each needs. */
const MIN_POINTS: Record<string, number> = { rectangle: 2, polygon: 3, circle: 2, mask: 2, rotation: 4 };

function readShape(value: unknown): WrittenObject {
  const { label, points, shape_type = 'polygon', flags, difficult } = isRecord(value) ? value : {};
  const pairs = Array.isArray(points) ? points : [];
  const type = String(shape_type);
  const object = {
    label: className(label),
    box: type === 'circle' ? aroundCircle(pairs) : boxAround(pairs.flat(1)),
    difficult: difficult === true || (isRecord(flags) && flags.difficult === true),
  };
  const fault = (message: string) => ({ ...object, fault: { kind: 'annotation-invalid' as const, message } });
  if (object.label === '') return fault('it has no label');
  if (!Object.hasOwn(MIN_POINTS, type))
    return fault(`a ${shorten(type, 20)} has no area; draw a rectangle or a polygon`);
  if (pairs.length < MIN_POINTS[type]!)
    return fault(`a ${type} needs at least ${MIN_POINTS[type]} points, found ${pairs.length}`);
  return object;
}

/** Its centre and a point on it. */
function aroundCircle([centre, edge]: readonly unknown[]) {
  const [x, y, ex, ey] = [centre, edge].flat(1) as number[];
  const radius = Math.hypot(Number(ex) - Number(x), Number(ey) - Number(y));
  return boxAround([x! - radius, y! - radius, x! + radius, y! + radius]);
}
