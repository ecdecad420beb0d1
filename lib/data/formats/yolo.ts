import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { DetectorError, messageOf } from '../../base/errors.ts';
import { readTextFile } from '../../files/text-file.ts';
import { raiseBytes } from '../annotation-limits.ts';
import { parseYaml } from '../dataset-config.ts';
import type { WrittenObject } from '../examine-objects.ts';
import { type FileTree, IMAGE_NAME } from '../file-tree.ts';
import { ImageFinder } from '../image-finder.ts';
import { IssueLog } from '../issue-log.ts';
import { type PartName, partNames, partOfPath } from '../part-name.ts';
import { boxAround } from '../written-box.ts';
import type { WrittenImage, WrittenPart } from '../written-image.ts';
import type { DatasetFormat, FileHead, FoundDataset, Place } from './format.ts';
import { className, isRecord, refuse, shorten } from './reading.ts';

/**
 * YOLO's text files, one beside or opposite each image, with Ultralytics' `data.yaml` and its rules for paths
 * (https://docs.ultralytics.com/datasets/detect/), or with a list of names (`classes.txt`, `obj.names`) as labelImg and CVAT have it.
 * What `download` in such a file says is never done.
 */
export const yolo: DatasetFormat = {
  name: 'yolo',
  title: 'YOLO',
  claims: ({ name, text }) => isDataYaml({ name, text }) || isLabelFile({ name, text }),
  locate,
};

/** Names of classes, one a line. */
const CLASS_LIST = /(^|\/)(classes\.txt|obj\.names|[^/]+\.names)$/i;
/** An image cannot be half a percent outside of itself, but rounding makes it so. */
const MAX_COORDINATE = 1.01;
const MAX_LIST_BYTES = 256 * 1024 ** 2;
/** The YAML parser needs quadratic time for some texts. */
const MAX_YAML_BYTES = 64 * 1024;
const MAX_NAMES_BYTES = 1024 ** 2;

function isDataYaml({ name, text }: FileHead): boolean {
  return (
    /\.ya?ml$/i.test(name) && /^names\s*:/m.test(text) && /^(train|val|valid|validation|test|path|nc)\s*:/m.test(text)
  );
}

/** "0 0.5 0.5 0.25 0.25": a class and at least four numbers from 0 to 1. */
function isLabelFile({ name, text }: FileHead): boolean {
  return (
    /\.txt$/i.test(name) &&
    /^\s*\d{1,5}(\s+-?(0|0?\.\d+|1(\.\d*)?|0\.\d*(e-?\d+)?)){4,}\s*$/m.test(text.split('\n', 1)[0]!)
  );
}

async function locate(claimed: readonly string[], place: Place): Promise<FoundDataset> {
  const yamls = claimed.filter((file) => /\.ya?ml$/i.test(file));
  if (yamls.length > 1) {
    throw new DetectorError(
      'CONFIG_INVALID',
      `Several YOLO data sets in "${place.root}": ${yamls.slice(0, 5).join(', ')}. Give one of these files`,
    );
  }
  return yamls[0] === undefined ? await locateFolder(place) : await locateYaml(join(place.root, yamls[0]), place);
}

/** A folder of images and text files without a YAML file. */
async function locateFolder(place: Place): Promise<FoundDataset> {
  const { root } = place;
  const tree = await place.tree();
  const list = tree.files.find((file) => CLASS_LIST.test(file));
  if (list !== undefined) place.footprint.describe(join(root, list));
  const names = list === undefined ? undefined : await readNames(join(root, list));
  const byPart = new Map<PartName | 'all', string[]>();
  for (const image of tree.files) {
    if (!IMAGE_NAME.test(image)) continue;
    const part = partOfPath(dirname(image)) ?? 'all';
    const images = byPart.get(part);
    if (images) images.push(join(root, image));
    else byPart.set(part, [join(root, image)]);
  }
  const labels = tree.files.filter((file) => isLabelName(file)).map((file) => join(root, file));
  const open = (part: PartName | 'all', images: string[]) => async () => {
    const own = labels.filter((label) => (partOfPath(relative(root, label)) ?? 'all') === part);
    return readImages({ images, labels: own, trees: [tree] }, { place, names, pose: false });
  };
  return {
    description: list ?? 'text files without a list of classes',
    ...(names && { classes: names }),
    parts: new Map([...byPart].map(([part, images]) => [part, open(part, images)])),
  };
}

async function readNames(path: string): Promise<string[]> {
  const text = await readTextFile(path, MAX_NAMES_BYTES).catch((error) =>
    Promise.reject(refuse(path, 'a list of classes', messageOf(error))),
  );
  return text
    .split(/\r\n|\r|\n/)
    .map(className)
    .filter((name) => name !== '');
}

async function locateYaml(file: string, place: Place): Promise<FoundDataset> {
  place.footprint.describe(file);
  const content = await readYaml(file);
  const names = namesOf(file, content);
  const values = {
    train: content.train,
    valid: content.val ?? content.valid ?? content.validation,
    test: content.test,
  };
  const given = partNames.filter((part) => sourcesOf(values[part]).length > 0);
  if (given.length === 0) {
    throw new DetectorError('CONFIG_INVALID', `"${file}" names no images: it needs "train", and "val" beside it`);
  }
  const root = rootOf(dirname(file), content.path, sourcesOf(values[given[0]!])[0]!, place);
  // A list is no stray file, whichever part is opened.
  for (const source of given.flatMap((part) => sourcesOf(values[part]))) {
    const path = findSource(root, source, place);
    if (path !== undefined) place.footprint.describe(path);
  }
  const open = (part: PartName) => async () => {
    const found = await Promise.all(
      sourcesOf(values[part]).map((source) => listSource(file, part, root, source, place)),
    );
    // Where the folder was given, whatever lies in it is accounted for.
    const whole = place.file === undefined ? [await place.tree()] : [];
    const files = {
      images: found.flatMap(({ images }) => images),
      labels: found.flatMap(({ labels }) => labels),
      trees: whole.length > 0 ? whole : [...new Set(found.flatMap(({ trees }) => trees))],
    };
    return readImages(files, { place, names: Object.values(names), pose: 'kpt_shape' in content });
  };
  return {
    description: `${relative(place.root, file)}`,
    classes: [...new Set(Object.values(names))],
    parts: new Map(given.map((part) => [part, open(part)])),
  };
}

async function readYaml(file: string): Promise<Record<string, unknown>> {
  try {
    const content = await parseYaml(await readTextFile(file, MAX_YAML_BYTES));
    if (!isRecord(content)) throw new Error('it has no keys');
    return content;
  } catch (error) {
    throw new DetectorError('CONFIG_INVALID', `Cannot read "${file}" as YOLO's data.yaml: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Names by number: a list, or a map that may have gaps. */
function namesOf(file: string, { names, nc }: Record<string, unknown>): string[] {
  const wrong = (reason: string) => new DetectorError('CONFIG_INVALID', `"${file}": ${reason}`);
  const entries = Array.isArray(names) ? [...names.entries()] : isRecord(names) ? Object.entries(names) : [];
  const list: string[] = [];
  for (const [key, value] of entries) {
    const number = Number(key);
    if (!Number.isInteger(number) || number < 0 || number > 65_535)
      throw wrong(`names has the key "${key}", which is no class number`);
    const name = className(typeof value === 'number' ? String(value) : value);
    if (name === '')
      throw wrong(`names[${key}] is no name: expected text, in quotes where it could be read as something else`);
    list[number] = name;
  }
  if (entries.length === 0)
    throw wrong('it has no "names": expected a list of class names, or a map from number to name');
  if (typeof nc === 'number' && nc !== entries.length) {
    throw wrong(`nc is ${nc}, and names has ${entries.length} entries. Mend one of them`);
  }
  return list;
}

function sourcesOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(
    (each): each is string => typeof each === 'string' && each !== '',
  );
}

/** `path` is relative to the file or to the current directory, and often one of another machine: the first under which images lie. */
function rootOf(folder: string, path: unknown, source: string, place: Place): string {
  const named = typeof path === 'string' && path !== '' ? [resolve(folder, path), resolve(path)] : [];
  const candidates = [...named, folder];
  return (
    candidates.find((root) => findSource(root, source, place) !== undefined) ??
    named.find((root) => place.footprint.exists(root)) ??
    folder
  );
}

/** Ultralytics takes `../train/images`, as Roboflow writes it, for `train/images` where only that is there. */
function findSource(root: string, source: string, { footprint }: Place): string | undefined {
  const plain = source.replaceAll('\\', '/');
  const candidates = [resolve(root, plain), ...(plain.startsWith('../') ? [resolve(root, plain.slice(3))] : [])];
  return candidates.find((path) => footprint.exists(path));
}

interface YoloFiles {
  images: string[];
  labels: string[];
  /** The folders that were listed. */
  trees: FileTree[];
}

async function listSource(
  file: string,
  part: PartName,
  root: string,
  source: string,
  place: Place,
): Promise<YoloFiles> {
  const path = findSource(root, source, place);
  if (path === undefined) {
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `"${file}" says that the part ${part} lies in "${source}", but there is no "${resolve(root, source)}". Mend the path in the file; what "download" says is never done`,
    );
  }
  if ((await stat(path)).isDirectory()) {
    const [images, labels] = await Promise.all(
      [path, labelPathOf(`${path}/`)].map((folder) => listFolder(folder!, place)),
    );
    return {
      images: images!.files.filter((image) => IMAGE_NAME.test(image)).map((image) => join(images!.root, image)),
      labels: labels!.files.filter(isLabelName).map((label) => join(labels!.root, label)),
      trees: [images!, labels!],
    };
  }
  const text = await readTextFile(path, MAX_LIST_BYTES).catch((error) =>
    Promise.reject(refuse(path, 'a list of images', messageOf(error))),
  );
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim().replaceAll('\\', '/'));
  const images = lines.filter((line) => line !== '').map((line) => findListed(line, dirname(path), root, place));
  return { images: [...new Set(images)], labels: [], trees: [] };
}

/** In a list, `./` is the folder of the list; other paths are absolute, or relative to the data set. */
function findListed(line: string, folder: string, root: string, { footprint }: Place): string {
  if (isAbsolute(line)) return line;
  const candidates = [resolve(folder, line), resolve(root, line)];
  return candidates.find((path) => footprint.exists(path)) ?? candidates[0]!;
}

async function listFolder(folder: string, { footprint, signal }: Place): Promise<FileTree> {
  return footprint.exists(folder) ? await footprint.list(folder, signal) : { root: folder, files: [] };
}

/** The last `/images/` of a path becomes `/labels/`. */
function labelPathOf(path: string): string {
  const plain = path.replaceAll('\\', '/');
  const at = plain.lastIndexOf('/images/');
  return at < 0 ? plain : `${plain.slice(0, at)}/labels/${plain.slice(at + '/images/'.length)}`;
}

function isLabelName(name: string): boolean {
  return (
    /\.txt$/i.test(name) &&
    !CLASS_LIST.test(name) &&
    !/(^|\/)(readme[^/]*|train|val|valid|test|notes)\.txt$/i.test(name)
  );
}

interface YoloOptions {
  place: Place;
  /** By number; undefined where no file names them. */
  names: readonly string[] | undefined;
  /** Key points follow the box. */
  pose: boolean;
}

function readImages({ images, labels, trees }: YoloFiles, options: YoloOptions): WrittenPart {
  const { place } = options;
  const issues = new IssueLog();
  const skip = (file: string, kind: 'duplicate-file' | 'image-missing', message: string) => {
    issues.add({ file, kind, message, action: 'skipped' });
  };
  const stems = new Map<string, number>();
  const kept = images.sort().filter((image, i) => {
    const stem = withoutExtension(image);
    const first = stems.get(stem);
    if (first === undefined) stems.set(stem, i);
    else skip(image, 'duplicate-file', `has the same name as ${images[first]}, which is used`);
    return first === undefined;
  });
  const expected = new Set([...stems.keys()].flatMap((stem) => [withoutExtension(labelPathOf(`${stem}.txt`)), stem]));
  let finders: ImageFinder[] | undefined;
  for (const label of labels) {
    const stem = withoutExtension(label.replaceAll('\\', '/'));
    if (expected.has(stem)) continue;
    finders ??= trees.map((tree) => new ImageFinder(tree));
    const hint = finders.map((finder) => finder.hint(`${basename(stem)}.jpg`)).find((each) => each !== '') ?? '';
    skip(label, 'image-missing', `no image ${basename(stem)}.jpg, .jpeg, .png or .webp${hint}`);
  }
  return {
    length: kept.length,
    at: (index) => readImage(kept[index]!, options),
    ...{ issues, trees, annotationName: /\.txt$/i, notNamed: 'image that the data set does not name' },
    ...(kept[0] !== undefined && { place: dirname(labelPathOf(kept[0])) }),
  };

  async function readImage(imagePath: string, { names, pose }: YoloOptions): Promise<WrittenImage> {
    const stem = withoutExtension(imagePath);
    const candidates = [...new Set([labelPathOf(`${stem}.txt`), `${stem}.txt`])];
    const id = relative(place.root, stem).replaceAll('\\', '/');
    for (const annotationPath of candidates) {
      place.footprint.use(annotationPath);
      const image = { id, imagePath, annotationPath, relative: true as const };
      try {
        const text = await readTextFile(annotationPath, place.limits.maxAnnotationBytes, raiseBytes);
        return { ...image, ...parseLabels(text, names ?? place.classes, pose) };
      } catch (error) {
        if (messageOf(error) === 'it does not exist') continue;
        const message = messageOf(error);
        const issue = {
          file: annotationPath,
          kind: 'annotation-invalid' as const,
          message,
          action: 'skipped' as const,
        };
        return { ...image, objects: [], issues: [issue], unusable: true };
      }
    }
    return { id, imagePath, annotationPath: candidates[0]!, objects: [] };
  }
}

function withoutExtension(path: string): string {
  return path.replace(/\.\w{1,5}$/, '');
}

/** The objects of a label file, boxes in parts of the image. */
export function parseLabels(
  text: string,
  names: readonly string[] | undefined,
  pose = false,
): { objects: WrittenObject[] } {
  const seen = new Set<string>();
  const objects: WrittenObject[] = [];
  for (const [number, line] of text.split(/\r\n|\r|\n/).entries()) {
    const written = line.trim();
    if (written === '') continue;
    const object = parseLine(written, names, pose);
    const repeated = seen.has(written);
    seen.add(written);
    objects.push({
      ...object,
      position: number,
      ...(repeated && { fault: { kind: 'duplicate-object', message: `line ${number + 1} repeats an earlier line` } }),
    });
  }
  return { objects };
}

function parseLine(line: string, names: readonly string[] | undefined, pose: boolean): WrittenObject {
  const words = line.split(/\s+/);
  const bad = (
    message: string,
    kind: 'annotation-invalid' | 'coordinate-invalid' = 'annotation-invalid',
  ): WrittenObject => ({
    ...{ label: '', box: boxAround([]), difficult: false },
    fault: { kind, message: `${message} in the line "${shorten(line)}"` },
  });
  const wrong = words.find((word) => !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word));
  if (wrong !== undefined) return bad(`"${shorten(wrong, 20)}" is no number`, 'coordinate-invalid');
  const [id, ...numbers] = words.map(Number);
  if (!Number.isInteger(id) || id! < 0) return bad(`${shorten(words[0]!, 20)} is no class number`);
  if (numbers.length < 4) return bad(`expected a class and four numbers, found ${words.length} columns`);
  const label = names === undefined ? `class_${id}` : (names[id!] ?? '');
  if (label === '')
    return {
      ...bad(`class ${id} is not among the names`),
      fault: { kind: 'unknown-class', message: `class ${id} is not among the ${names!.length} names` },
    };
  const isBox = numbers.length <= 5 || pose;
  const sides = isBox ? numbers.slice(0, 4) : numbers;
  if (sides.length % 2 !== 0) return bad(`a polygon needs pairs of numbers, found ${sides.length}`);
  if (sides.some((side) => side > MAX_COORDINATE || side < 1 - MAX_COORDINATE))
    return bad('expected parts of the image, from 0 to 1, found pixels or worse', 'coordinate-invalid');
  const [x, y, width, height] = sides as [number, number, number, number];
  const box = isBox
    ? { xmin: x - width / 2, ymin: y - height / 2, xmax: x + width / 2, ymax: y + height / 2 }
    : boxAround(sides);
  return { label, box, difficult: false };
}
