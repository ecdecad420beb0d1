import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { suggestion } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readTextFile } from '../files/text-file.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import { type FileTree, IMAGE_NAME } from './file-tree.ts';
import type { Footprint } from './footprint.ts';
import { ImageFinder } from './image-finder.ts';
import { IssueLog } from './issue-log.ts';

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
  issues: IssueLog;
  /** The folders that the images are in. */
  trees: FileTree[];
  /** Why an image of these folders may not be among the pairs. */
  notNamed?: string;
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
export async function listVocFiles(source: VocSource, footprint: Footprint, signal?: AbortSignal): Promise<VocFiles> {
  const index = async (path: string, pattern: RegExp, setBy: string) =>
    indexTree(await listFolder(path, setBy, footprint, signal), pattern);
  if ('root' in source) {
    const setBy = 'the root option or VOC_ROOT';
    const images = await index(join(source.root, 'JPEGImages'), IMAGE_NAME, setBy);
    return await listDevkit(
      source,
      images,
      await index(join(source.root, 'Annotations'), ANNOTATION, setBy),
      footprint,
    );
  }
  const images = await index(source.images, IMAGE_NAME, 'the images option, TRAIN_IMG or VALID_IMG');
  const annotations = await index(source.annotations, ANNOTATION, 'the annotations option, TRAIN_ANNOT or VALID_ANNOT');
  checkNotExchanged(images, annotations);
  return pairAll(images, annotations);
}

/** The pairs among files of any folders, such as `images/a.jpg` and `labels/a.xml`, or both side by side. */
export function listVocTree(tree: FileTree): VocFiles {
  return pairAll(indexTree(tree, IMAGE_NAME, plainStemOf), indexTree(tree, ANNOTATION, plainStemOf));
}

function pairAll(images: Folder, annotations: Folder): VocFiles {
  const { annotationOf, alone } = matchNames(images, annotations);
  const pairing = new Pairing(images, annotations, annotationOf);
  for (const id of [...images.files.keys(), ...alone].sort()) pairing.add(id);
  return pairing.files;
}

async function listDevkit(
  { root, split }: { root: string; split: string },
  images: Folder,
  annotations: Folder,
  footprint: Footprint,
): Promise<VocFiles> {
  const pairing = new Pairing(images, annotations, matchNames(images, annotations).annotationOf);
  const list = join(root, 'ImageSets', 'Main', `${split}.txt`);
  footprint.use(list);
  for (const id of (await readSplit(list, split, images, pairing.files.issues)).sort()) pairing.add(id);
  return { ...pairing.files, notNamed: `image that the list "${split}" does not have` };
}

async function listFolder(path: string, setBy: string, footprint: Footprint, signal?: AbortSignal): Promise<FileTree> {
  return await footprint.list(path, signal).catch((error) => {
    signal?.throwIfAborted();
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `${messageOf(error)}. Set by ${setBy}; relative to "${process.cwd()}"`,
      { cause: error },
    );
  });
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
async function readSplit(file: string, split: string, images: Folder, issues: IssueLog): Promise<string[]> {
  const list = await readTextFile(file, MAX_SPLIT_BYTES).catch(async (error) => {
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `Cannot read the list of split "${split}", "${file}": ${messageOf(error)}${await otherLists(dirname(file), split)}. Set by the split option, TRAIN_SPLIT, VALID_SPLIT or TEST_SPLIT`,
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
      issues.add({ file, kind: 'id-invalid', message, action: 'skipped' });
    } else if (ids.has(id)) {
      issues.add({ file, kind: 'duplicate-id', message: `lists "${id}" more than once`, action: 'skipped' });
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

/** Puts images and annotations together, and tells of what is left over. */
class Pairing {
  readonly files: VocFiles;
  readonly #images: Folder;
  readonly #annotations: Folder;
  readonly #annotationOf: (stem: string) => string | undefined;
  #finder: ImageFinder | undefined;

  constructor(images: Folder, annotations: Folder, annotationOf: (stem: string) => string | undefined) {
    this.#images = images;
    this.#annotations = annotations;
    this.#annotationOf = annotationOf;
    this.files = { pairs: [], issues: new IssueLog(), trees: [...new Set([images.tree, annotations.tree])] };
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
      this.files.pairs.push({ id, imagePath, annotationPath });
    }
  }

  #skip(kind: DatasetIssue['kind'], file: string, message: string): void {
    this.files.issues.add({ file, kind, message, action: 'skipped' });
  }

  /** The first file of that id; further ones, such as a.png beside a.jpg, are reported. */
  #choose(id: string, { tree, files }: Folder): string | undefined {
    const [chosen, ...others] = files.get(id) ?? [];
    for (const name of others) {
      this.#skip('duplicate-file', join(tree.root, name), `has the same name as ${chosen}, which is used`);
    }
    if (chosen === undefined) return undefined;
    return join(tree.root, chosen);
  }
}
