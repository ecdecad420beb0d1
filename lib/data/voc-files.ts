import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { suggestion } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readTextFile } from '../files/text-file.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { type FileTree, IMAGE_NAME, listTree } from './file-tree.ts';
import { ImageFinder } from './image-finder.ts';

/**
 * The place of a data set. It may be the article's pair of folders, with an image and an XML file of the same name each. Or it is a folder
 * of the VOC development kit, with `JPEGImages`, `Annotations` and a list of ids in `ImageSets/Main/<split>.txt`. Folders may have
 * subfolders.
 */
export type VocSource = { images: string; annotations: string } | { root: string; split: string };

/** An image and its annotation. */
export interface VocPair {
  id: string;
  imagePath: string;
  annotationPath: string;
}

/** What a source holds. */
export interface VocFiles {
  pairs: VocPair[];
  issues: DatasetIssue[];
  /** Files that belong to no image of the source, counted by the reason. */
  ignored: Map<string, number>;
}

/** Files of one kind in a folder, by their path without the extension, in NFC. */
interface Folder {
  tree: FileTree;
  files: Map<string, string[]>;
  /** The same paths by their last part. */
  byName: Map<string, string[]>;
}

/** Folders for images or annotations and nothing else. */
const KIND_OF_FILE = /^(images?|jpegimages|imgs?|pictures|photos|annotations?|annots?|labels?|xmls?|voc)$/i;
const ANNOTATION = /\.xml$/i;
const MAX_SPLIT_BYTES = 256 * 1024 ** 2;

/**
 * Lists the pairs of a source in code-unit order of their ids, and what has no counterpart. Rejects with `DetectorError`
 * `DATASET_NOT_FOUND` for a folder or split that is not there.
 */
export async function listVocFiles(source: VocSource, signal?: AbortSignal): Promise<VocFiles> {
  if ('root' in source) return await listDevkit(source, signal);
  const images = await indexFolder(source.images, IMAGE_NAME, 'the images option, TRAIN_IMG or VALID_IMG', signal);
  const annotations =
    source.annotations === source.images
      ? indexTree(images.tree, ANNOTATION)
      : await indexFolder(source.annotations, ANNOTATION, 'the annotations option, TRAIN_ANNOT or VALID_ANNOT', signal);
  checkNotExchanged(images, annotations);
  const { annotationOf, alone } = matchNames(images, annotations);
  const pairing = new Pairing(images, annotations, annotationOf);
  for (const id of [...images.files.keys(), ...alone].sort()) pairing.add(id);
  return pairing.finish((path) => (ANNOTATION.test(path) ? undefined : `other file (${extensionOf(path)})`));
}

async function listDevkit({ root, split }: { root: string; split: string }, signal?: AbortSignal): Promise<VocFiles> {
  const setBy = 'the root option or VOC_ROOT';
  const images = await indexFolder(join(root, 'JPEGImages'), IMAGE_NAME, setBy, signal);
  const annotations = await indexFolder(join(root, 'Annotations'), ANNOTATION, setBy, signal);
  const pairing = new Pairing(images, annotations, matchNames(images, annotations).annotationOf);
  for (const id of (await readSplit(root, split, images, pairing.issues)).sort()) pairing.add(id);
  return pairing.finish((path) => (IMAGE_NAME.test(path) ? `image that the list "${split}" does not have` : undefined));
}

async function indexFolder(path: string, pattern: RegExp, setBy: string, signal?: AbortSignal): Promise<Folder> {
  const tree = await listTree(path, signal).catch((error) => {
    signal?.throwIfAborted();
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `${messageOf(error)}. Set by ${setBy}; relative to "${process.cwd()}"`,
      { cause: error },
    );
  });
  return indexTree(tree, pattern);
}

/** The pairs among files of any folders, such as `images/a.jpg` and `labels/a.xml`, or both side by side. */
export function listVocTree(tree: FileTree): VocFiles {
  const images = indexTree(tree, IMAGE_NAME, plainStemOf);
  const annotations = indexTree(tree, ANNOTATION, plainStemOf);
  const { annotationOf, alone } = matchNames(images, annotations);
  const pairing = new Pairing(images, annotations, annotationOf);
  for (const id of [...images.files.keys(), ...alone].sort()) pairing.add(id);
  return pairing.finish((path) => (ANNOTATION.test(path) ? undefined : `other file (${extensionOf(path)})`));
}

function indexTree(tree: FileTree, pattern: RegExp, keyOf = stemOf): Folder {
  const files = new Map<string, string[]>();
  const byName = new Map<string, string[]>();
  for (const path of tree.files) {
    if (!pattern.test(path)) continue;
    const stem = keyOf(path);
    append(files, stem, path);
    if (files.get(stem)!.length === 1) append(byName, lastOf(stem), stem);
  }
  return { tree, files, byName };
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function stemOf(path: string): string {
  return path.replace(/\.[^./]*$/, '').normalize('NFC');
}

/** Without the folders that only say what kind of file is in them. */
function plainStemOf(path: string): string {
  const folders = stemOf(path).split('/');
  const name = folders.pop()!;
  return [...folders.filter((folder) => !KIND_OF_FILE.test(folder)), name].join('/');
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function extensionOf(path: string): string {
  return /\.[^./]{1,10}$/.exec(path)?.[0].toLowerCase() ?? 'no extension';
}

/** The annotation of each image: in the same folder of both trees, else the only one of that name. */
function matchNames(images: Folder, annotations: Folder) {
  const used = new Set<string>();
  const found = new Map<string, string>();
  for (const stem of images.files.keys()) {
    const same = annotations.files.has(stem) ? stem : onlyOne(lastOf(stem), images, annotations);
    if (same === undefined || used.has(same)) continue;
    used.add(same);
    found.set(stem, same);
  }
  const annotationOf = (stem: string) => found.get(stem) ?? (annotations.files.has(stem) ? stem : undefined);
  return { annotationOf, alone: [...annotations.files.keys()].filter((stem) => !used.has(stem)) };
}

function onlyOne(name: string, images: Folder, annotations: Folder): string | undefined {
  const [stem, ...others] = annotations.byName.get(name) ?? [];
  return others.length === 0 && images.byName.get(name)!.length === 1 ? stem : undefined;
}

function checkNotExchanged(images: Folder, annotations: Folder): void {
  if (images.files.size > 0 || annotations.files.size > 0) return;
  const count = (folder: Folder, pattern: RegExp) => folder.tree.files.filter((path) => pattern.test(path)).length;
  const [xml, pictures] = [count(images, ANNOTATION), count(annotations, IMAGE_NAME)];
  if (xml === 0 || pictures === 0) return;
  throw new DetectorError(
    'DATASET_EMPTY',
    `The folders are exchanged: "${images.tree.root}", given for the images, has ${xml} XML files, and "${annotations.tree.root}", given for the annotations, has ${pictures} images. Exchange them`,
  );
}

/** The ids of a split, each once. A second column (present or absent, in the lists of one class) is not looked at. */
async function readSplit(root: string, split: string, images: Folder, issues: DatasetIssue[]): Promise<string[]> {
  const folder = join(root, 'ImageSets', 'Main');
  const file = join(folder, `${split}.txt`);
  const list = await readTextFile(file, MAX_SPLIT_BYTES).catch(async (error) => {
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `Cannot read the list of split "${split}", "${file}": ${messageOf(error)}${await otherLists(folder, split)}. Set by the split option, TRAIN_SPLIT, VALID_SPLIT or TEST_SPLIT`,
      { cause: error },
    );
  });
  const ids = new Set<string>();
  for (const line of list.split(/\r\n|\r|\n/)) {
    const whole = line.trim().normalize('NFC');
    if (whole === '') continue;
    const id = idOfLine(whole, images);
    if (!images.files.has(id) && (/[/\\\0]/.test(id) || id === '.' || id === '..')) {
      const message = `the id ${JSON.stringify(id.slice(0, 80))} is not a plain file name`;
      issues.push({ file, kind: 'id-invalid', message, action: 'skipped' });
    } else if (ids.has(id)) {
      issues.push({ file, kind: 'duplicate-id', message: `lists "${id}" more than once`, action: 'skipped' });
    } else {
      ids.add(id);
    }
  }
  return [...ids];
}

/** "a", "a 1", "a.jpg -1", "my dog", `"my dog" 1`, "sub/a": what is an image of the folder; else the first word. */
function idOfLine(line: string, { files }: Folder): string {
  const quoted = /^(["'])(.*?)\1/.exec(line)?.[2];
  const first = line.split(/\s+/)[0]!;
  const candidates = [line, line.replace(/\s+-?[01]$/, ''), ...(quoted === undefined ? [] : [quoted]), first];
  const known = candidates.flatMap((name) => [name, name.replace(IMAGE_NAME, '')]).find((name) => files.has(name));
  return known ?? (quoted ?? first).replace(IMAGE_NAME, '');
}

async function otherLists(folder: string, split: string): Promise<string> {
  const names = (await readdir(folder).catch(() => []))
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -4));
  if (names.length === 0) return '';
  return `${suggestion(split, names)}; there are ${names.sort().slice(0, 10).join(', ')}${names.length > 10 ? ' and others' : ''}`;
}

/** Puts images and annotations together, and keeps count of what is left over. */
class Pairing {
  readonly issues: DatasetIssue[] = [];
  readonly #pairs: VocPair[] = [];
  readonly #images: Folder;
  readonly #annotations: Folder;
  readonly #annotationOf: (stem: string) => string | undefined;
  readonly #seen = new Set<string>();
  #finder: ImageFinder | undefined;

  constructor(images: Folder, annotations: Folder, annotationOf: (stem: string) => string | undefined) {
    this.#images = images;
    this.#annotations = annotations;
    this.#annotationOf = annotationOf;
  }

  add(id: string): void {
    const imagePath = this.#choose(id, this.#images);
    const annotation = this.#annotationOf(id);
    const annotationPath = annotation === undefined ? undefined : this.#choose(annotation, this.#annotations);
    const [images, annotations] = [this.#images.tree.root, this.#annotations.tree.root];
    if (imagePath === undefined) {
      this.#finder ??= new ImageFinder(this.#images.tree);
      const message = `no image ${id}.jpg, .jpeg, .png or .webp in "${images}"${this.#finder.hint(`${id}.jpg`)}`;
      this.#skip('image-missing', annotationPath ?? join(images, id), message);
    } else if (annotationPath === undefined) {
      this.#skip('annotation-missing', imagePath, `no ${id}.xml in "${annotations}"`);
    } else {
      this.#pairs.push({ id, imagePath, annotationPath });
    }
  }

  /** `why` says of an image file that was not asked for, or another file, why it is not looked at. */
  finish(why: (path: string) => string | undefined): VocFiles {
    const ignored = new Map<string, number>();
    for (const path of this.#images.tree.files) {
      if (this.#seen.has(join(this.#images.tree.root, path))) continue;
      const reason = why(path);
      if (reason !== undefined) ignored.set(reason, (ignored.get(reason) ?? 0) + 1);
    }
    return { pairs: this.#pairs, issues: this.issues, ignored };
  }

  #skip(kind: DatasetIssue['kind'], file: string, message: string): void {
    this.issues.push({ file, kind, message, action: 'skipped' });
  }

  /** The first file of that id; further ones, such as a.png beside a.jpg, are reported. */
  #choose(id: string, { tree, files }: Folder): string | undefined {
    const [chosen, ...others] = files.get(id) ?? [];
    for (const name of others) {
      this.#seen.add(join(tree.root, name));
      this.#skip('duplicate-file', join(tree.root, name), `has the same name as ${chosen}, which is used`);
    }
    if (chosen === undefined) return undefined;
    const path = join(tree.root, chosen);
    this.#seen.add(path);
    return path;
  }
}
