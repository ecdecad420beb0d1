import { opendir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import type { DatasetIssue } from './dataset-issue.ts';

/**
 * Where a data set is. It has a folder of images and a folder of XML files with the same names; or it is a folder in the layout of the
 * VOC development kit, with `JPEGImages`, `Annotations` and a list of ids in `ImageSets/Main/<split>.txt`.
 */
export type VocSource = { images: string; annotations: string } | { root: string; split: string };

/** An image and its annotation. */
export interface VocPair {
  id: string;
  imagePath: string;
  annotationPath: string;
}

interface Folder {
  path: string;
  /** File names by the part before the extension. */
  files: Map<string, string[]>;
}

const IMAGE = /\.(jpe?g|png|webp)$/i;
const ANNOTATION = /\.xml$/i;
const MAX_SPLIT_BYTES = 16 * 1024 ** 2;

/**
 * Lists the pairs of a source in code-unit order of their ids, and what has no counterpart. Rejects with `DetectorError`
 * `DATASET_NOT_FOUND` for a folder or split that is not there.
 */
export async function listVocFiles(source: VocSource): Promise<{ pairs: VocPair[]; issues: DatasetIssue[] }> {
  const issues: DatasetIssue[] = [];
  if ('root' in source) {
    const images = await indexFolder(join(source.root, 'JPEGImages'), IMAGE, 'the root option or VOC_ROOT');
    const annotations = await indexFolder(join(source.root, 'Annotations'), ANNOTATION, 'the root option or VOC_ROOT');
    const ids = await readSplit(source.root, source.split, images, issues);
    return { pairs: pairUp(ids, images, annotations, issues), issues };
  }
  const images = await indexFolder(source.images, IMAGE, 'the images option, TRAIN_IMG or VALID_IMG');
  const annotations = await indexFolder(
    source.annotations,
    ANNOTATION,
    'the annotations option, TRAIN_ANNOT or VALID_ANNOT',
  );
  const ids = [...new Set([...images.files.keys(), ...annotations.files.keys()])];
  return { pairs: pairUp(ids, images, annotations, issues), issues };
}

async function indexFolder(path: string, pattern: RegExp, setBy: string): Promise<Folder> {
  const files = new Map<string, string[]>();
  try {
    for await (const { name } of await opendir(path, { bufferSize: 256 })) {
      // Names that begin with a dot are the operating system's, for example macOS's "._a.jpg" beside "a.jpg".
      if (name.startsWith('.') || !pattern.test(name)) continue;
      const stem = parse(name).name;
      files.set(stem, [...(files.get(stem) ?? []), name].sort());
    }
  } catch (error) {
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `Cannot list the folder "${path}": ${messageOf(error)}. Set by ${setBy}; relative to "${process.cwd()}"`,
      { cause: error },
    );
  }
  return { path, files };
}

/** The ids of a split, each once. A second column (present or absent, in the lists of one class) is not looked at. */
async function readSplit(root: string, split: string, images: Folder, issues: DatasetIssue[]): Promise<string[]> {
  const file = join(root, 'ImageSets', 'Main', `${split}.txt`);
  const list = await readBoundedFile(file, MAX_SPLIT_BYTES).catch((error) => {
    throw new DetectorError(
      'DATASET_NOT_FOUND',
      `Cannot read the list of split "${split}", "${file}": ${messageOf(error)}. Set by the split option, TRAIN_SPLIT, VALID_SPLIT or TEST_SPLIT`,
      { cause: error },
    );
  });
  const ids = new Set<string>();
  for (const line of new TextDecoder().decode(list).split(/\r\n|\r|\n/)) {
    const whole = line.trim();
    if (whole === '') continue;
    const id = images.files.has(whole) ? whole : whole.split(/\s+/)[0]!;
    if (/[/\\\0]/.test(id) || id === '.' || id === '..') {
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

function pairUp(ids: string[], images: Folder, annotations: Folder, issues: DatasetIssue[]): VocPair[] {
  const pairs: VocPair[] = [];
  for (const id of ids.sort()) {
    const imagePath = choose(id, images, issues);
    const annotationPath = choose(id, annotations, issues);
    if (imagePath === undefined) {
      const file = annotationPath ?? join(images.path, id);
      const message = `no image ${id}.jpg, .jpeg, .png or .webp in "${images.path}"`;
      issues.push({ file, kind: 'image-missing', message, action: 'skipped' });
    } else if (annotationPath === undefined) {
      const message = `no ${id}.xml in "${annotations.path}"`;
      issues.push({ file: imagePath, kind: 'annotation-missing', message, action: 'skipped' });
    } else {
      pairs.push({ id, imagePath, annotationPath });
    }
  }
  return pairs;
}

/** The first file of that id; further ones, such as a.png beside a.jpg, are reported. */
function choose(id: string, folder: Folder, issues: DatasetIssue[]): string | undefined {
  const [chosen, ...others] = folder.files.get(id) ?? [];
  for (const name of others) {
    const message = `has the same name as ${chosen}, which is used`;
    issues.push({ file: join(folder.path, name), kind: 'duplicate-file', message, action: 'skipped' });
  }
  return chosen === undefined ? undefined : join(folder.path, chosen);
}
