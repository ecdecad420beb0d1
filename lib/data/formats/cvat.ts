import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { runInSlices } from '../../base/time-slices.ts';
import { childrenOf, parseXml, unescapeXml, type XmlElement, xmlNumber } from '../../files/xml-text.ts';
import { raiseBytes, raiseObjects } from '../annotation-limits.ts';
import type { DatasetIssue } from '../dataset-issue.ts';
import type { WrittenObject } from '../examine-objects.ts';
import { ImageFinder } from '../image-finder.ts';
import { IssueLog } from '../issue-log.ts';
import { type PartName, partOfName } from '../part-name.ts';
import { boxAround, boxAroundTurned } from '../written-box.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FoundDataset, Place } from './format.ts';
import { className, idOf, refuse, shorten } from './reading.ts';

/** CVAT's XML 1.1 for images (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/), read image by image. */
export const cvat: DatasetFormat = {
  name: 'cvat',
  title: 'CVAT XML 1.1 for images',
  claims: ({ name, text }) => /\.xml$/i.test(name) && /<annotations[\s>]/.test(text) && !/<track[\s>]/.test(text),
  locate,
};

const MAX_HEADER_BYTES = 4 * 1024 ** 2;
/** The shapes that have an area. */
const SHAPES = ['box', 'polygon', 'ellipse', 'mask', 'cuboid'] as const;

async function locate(claimed: readonly string[], place: Place): Promise<FoundDataset> {
  const labels: string[] = [];
  const byPart = new Map<PartName | 'all', CvatImage[]>();
  for (const file of claimed) {
    place.footprint.describe(join(place.root, file));
    const content = await readCvat(join(place.root, file), place);
    labels.push(...content.labels);
    for (const image of content.images) {
      const part = partOfName(image.subset) ?? 'all';
      const list = byPart.get(part);
      if (list) list.push(image);
      else byPart.set(part, [image]);
    }
  }
  const classes = [...new Set(labels)];
  return {
    description: claimed.slice(0, 3).join(', '),
    ...(classes.length > 0 && { classes }),
    parts: new Map([...byPart].map(([part, images]) => [part, async () => partOf(images, place)])),
  };
}

interface CvatImage {
  file: string;
  name: string;
  subset: string;
  size?: { width: number; height: number };
  objects: WrittenObject[];
  issues: DatasetIssue[];
}

async function readCvat(path: string, place: Place): Promise<{ labels: string[]; images: CvatImage[] }> {
  let labels: string[] = [];
  const images: CvatImage[] = [];
  try {
    for await (const { kind, text } of cvatPieces(path, place)) {
      if (kind === 'header') labels = labelsOf(text);
      else images.push(readImage(path, await runInSlices(parseXml(text), undefined, place.signal), place));
    }
  } catch (error) {
    place.signal?.throwIfAborted();
    throw refuse(path, 'CVAT XML', messageOf(error));
  }
  return { labels, images };
}

/** The text before the first image, then each `<image>` with what is in it: a file of any size is never held whole. */
async function* cvatPieces(
  path: string,
  { limits, signal }: Place,
): AsyncGenerator<{ kind: 'header' | 'image'; text: string }> {
  const stream = createReadStream(path, { encoding: 'utf8', highWaterMark: 64 * 1024 }) as AsyncIterable<string>;
  let rest = '';
  let inHeader = true;
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    rest += chunk;
    for (;;) {
      const start = rest.search(/<image[\s/>]/);
      if (start < 0) break;
      if (inHeader) yield { kind: 'header', text: rest.slice(0, start) };
      inHeader = false;
      const end = endOfImage(rest, start);
      if (end < 0) break;
      yield { kind: 'image', text: rest.slice(start, end) };
      rest = rest.slice(end);
    }
    const limit = inHeader ? MAX_HEADER_BYTES : limits.maxAnnotationBytes;
    if (rest.length > limit) throw new Error(`one <image> has more than the ${limit} characters allowed${raiseBytes}`);
  }
  if (inHeader) throw new Error('it has no <image>');
  if (/<image[\s/>]/.test(rest)) throw new Error('it ends within an <image>. Is it complete?');
}

/** Where the element that begins at `start` ends, or -1. */
function endOfImage(text: string, start: number): number {
  const tagEnd = text.indexOf('>', start);
  if (tagEnd < 0) return -1;
  if (text[tagEnd - 1] === '/') return tagEnd + 1;
  const close = text.indexOf('</image>', tagEnd);
  return close < 0 ? -1 : close + '</image>'.length;
}

/** The names in `<meta>`, in their order; skeletons and their parts are no classes of boxes. */
function labelsOf(header: string): string[] {
  const labels = header.match(/<label>[\s\S]*?<\/label>/g) ?? [];
  return labels.flatMap((label) => {
    const name = className(unescapeXml(/<name>([^<]*)<\/name>/.exec(label)?.[1] ?? ''));
    return name === '' ? [] : [name];
  });
}

function readImage(file: string, image: XmlElement, { limits }: Place): CvatImage {
  const attribute = (name: string) => image.attributes.get(name) ?? '';
  const [width, height] = [xmlNumber(attribute('width')), xmlNumber(attribute('height'))];
  const shapes = SHAPES.flatMap((shape) => childrenOf(image, shape).map((node) => ({ shape, node })));
  if (shapes.length > limits.maxObjects) {
    throw new Error(`"${shorten(attribute('name'))}" has more than ${limits.maxObjects} shapes${raiseObjects}`);
  }
  const other = ['polyline', 'points', 'skeleton', 'tag'].flatMap((shape) => {
    const count = childrenOf(image, shape).length;
    return count > 0 && shape !== 'tag' ? [`${count} ${shape}`] : [];
  });
  const message = `image "${shorten(attribute('name'))}": ${other.join(', ')} without an area`;
  return {
    file,
    name: attribute('name'),
    subset: attribute('subset'),
    ...(width > 0 && height > 0 && { size: { width, height } }),
    objects: shapes.map(({ shape, node }) => readShape(shape, node)),
    issues: other.length === 0 ? [] : [{ file, kind: 'annotation-invalid', message, action: 'skipped' }],
  };
}

function readShape(shape: (typeof SHAPES)[number], node: XmlElement): WrittenObject {
  const attribute = (name: string) => node.attributes.get(name) ?? '';
  const numbers = (...names: string[]) => names.map((name) => xmlNumber(attribute(name)));
  const rotation = xmlNumber(attribute('rotation') || '0');
  const object = { label: className(attribute('label')), box: boxOf(), difficult: false };
  const fault = (message: string) => ({ ...object, fault: { kind: 'annotation-invalid' as const, message } });
  if (object.label === '') return fault('it has no label');
  if (attribute('outside') === '1') return fault('it is marked as outside of the image');
  return object;

  function boxOf() {
    const plain = plainBox();
    if (!(rotation !== 0) || shape === 'polygon' || shape === 'mask') return plain;
    const centre = { x: (plain.xmin + plain.xmax) / 2, y: (plain.ymin + plain.ymax) / 2 };
    return boxAroundTurned(plain, rotation, centre);
  }

  function plainBox() {
    if (shape === 'polygon') return boxAround(attribute('points').split(/[;,]/).map(xmlNumber));
    if (shape === 'ellipse') {
      const [cx, cy, rx, ry] = numbers('cx', 'cy', 'rx', 'ry') as [number, number, number, number];
      return boxAround([cx - rx, cy - ry, cx + rx, cy + ry]);
    }
    if (shape === 'mask') {
      const [left, top, width, height] = numbers('left', 'top', 'width', 'height') as [number, number, number, number];
      return boxAround([left, top, left + width, top + height]);
    }
    if (shape === 'cuboid') {
      const corners = ['tl', 'bl', 'tr', 'br'].flatMap((corner) => [
        `x${corner}1`,
        `y${corner}1`,
        `x${corner}2`,
        `y${corner}2`,
      ]);
      return boxAround(numbers(...corners));
    }
    const [xmin, ymin, xmax, ymax] = numbers('xtl', 'ytl', 'xbr', 'ybr') as [number, number, number, number];
    return { xmin, ymin, xmax, ymax };
  }
}

async function partOf(images: readonly CvatImage[], place: Place): Promise<WrittenPart> {
  const tree = await place.images();
  const { root } = tree;
  const finder = new ImageFinder(tree);
  const issues = new IssueLog();
  const found: WrittenImage[] = [];
  for (const { file, name, subset, size, objects, issues: own } of images) {
    const imagePath = finder.find(name, subset && `images/${subset}`);
    if (imagePath === undefined) {
      const message = `no image "${shorten(name)}" below "${root}"${finder.hint(name)}`;
      issues.add({ file, kind: 'image-missing', message, action: 'skipped' });
    } else found.push({ id: idOf(imagePath, root), imagePath, annotationPath: file, size, objects, issues: own });
  }
  return {
    length: found.length,
    at: (index) => found[index]!,
    issues,
    trees: [tree],
  };
}
