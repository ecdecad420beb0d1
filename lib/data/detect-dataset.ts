import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readFileStart } from '../files/bounded-file.ts';
import { markedEncoding } from '../files/text-file.ts';
import type { AnnotationLimits } from './annotation-limits.ts';
import { loadDatasetConfig } from './dataset-config.ts';
import { type FileTree, IMAGE_NAME } from './file-tree.ts';
import type { Footprint } from './footprint.ts';
import type { DatasetFormat, FileHead, FoundDataset, Place } from './formats/format.ts';
import { foreignFormats, formats } from './formats/formats.ts';

/** How a data set is looked for. */
export interface DetectionOptions {
  /** Only this format is looked for. */
  format?: string | undefined;
  /** The folder of the images, where it is not that of the annotations. */
  images?: string | undefined;
  classes?: readonly string[] | undefined;
  limits: AnnotationLimits;
  footprint: Footprint;
  signal?: AbortSignal | undefined;
}

/** A data set that was found at a path. */
export interface DetectedDataset extends FoundDataset {
  format: DatasetFormat;
}

const HEAD_BYTES = 64 * 1024;
/** Files that may say what a data set is. */
const TELLING = /\.(json|jsonl|ya?ml|xml|txt|parquet|tfrecords?|record)(-\d+-of-\d+)?$/i;
/** Of each kind in each folder: in a folder of a million annotations the first ones are enough. */
const LOOKED_AT = 16;
const MAX_LOOKED_AT = 500;

/**
 * Finds out what lies at a path. Rejects with `DetectorError`: `DATASET_NOT_FOUND` (nothing is there, or nothing that is known, or a
 * format that is known and not read), `CONFIG_INVALID` (two formats at once; both are named).
 */
export async function detectDataset(path: string, options: DetectionOptions): Promise<DetectedDataset> {
  const place = await placeOf(path, options);
  const heads = await headsOf(place);
  const claims = formats
    .filter(({ name }) => options.format === undefined || name === options.format)
    .map((format) => ({ format, files: heads.filter((head) => format.claims(head)).map(({ name }) => name) }))
    .filter(({ files }) => files.length > 0);
  // The data set file of this project describes VOC data that may lie beside it.
  const described = claims.some(({ format }) => format.name === 'config');
  const candidates = described ? claims.filter(({ format }) => format.name !== 'voc') : claims;
  if (candidates.length > 1) throw ambiguous(path, candidates);
  const [chosen] = candidates;
  if (chosen === undefined) throw await unknown(path, heads, place, options.format);
  const found = await chosen.format.locate(chosen.files, place);
  return { ...found, format: chosen.format };
}

async function placeOf(path: string, { images, classes, limits, footprint, signal }: DetectionOptions): Promise<Place> {
  const absolute = resolve(path);
  const stats = await stat(absolute).catch(async (error: NodeJS.ErrnoException) => {
    if (/\.ya?ml$/i.test(path)) await loadDatasetConfig(path); // whose message is about such a file
    const reason = error.code === 'ENOENT' ? 'it does not exist' : messageOf(error);
    throw new DetectorError('DATASET_NOT_FOUND', `There is no data set "${path}": ${reason}`, {
      cause: error,
    });
  });
  const isFolder = stats.isDirectory();
  if (!isFolder && !stats.isFile())
    throw new DetectorError('DATASET_NOT_FOUND', `"${path}" is neither a file nor a folder`);
  const folder = dirname(absolute);
  // COCO and CVAT have a folder for annotations beside those of the images.
  const above = /^(annotations?|labels?|metadata)$/i.test(basename(folder)) && !/\.ya?ml$/i.test(path);
  const root = isFolder ? absolute : above ? dirname(folder) : folder;
  footprint.use(absolute);
  const tree = () => footprint.list(root, signal);
  return {
    ...{ path, root, classes, limits, footprint, signal, tree },
    ...(!isFolder && { file: relative(root, absolute).replaceAll('\\', '/') }),
    images: images === undefined ? tree : () => footprint.list(resolve(images), signal),
  };
}

async function headsOf(place: Place): Promise<FileHead[]> {
  if (place.file !== undefined) {
    const head = readHead(place.root, place.file);
    return [
      await head.catch((error) => {
        throw new DetectorError('DATASET_NOT_FOUND', `Cannot read "${place.path}": ${messageOf(error)}`, {
          cause: error,
        });
      }),
    ];
  }
  const heads: FileHead[] = [];
  for (const file of tellingFiles(await place.tree()))
    heads.push(await readHead(place.root, file).catch(() => ({ name: file, text: '' })));
  return heads;
}

/** The first files of each kind in each folder, those at the top first. */
function tellingFiles({ files }: FileTree): string[] {
  const counts = new Map<string, number>();
  const telling = files.filter((file) => {
    if (!TELLING.test(file)) return false;
    const kind = `${dirname(file)} ${extname(file).toLowerCase()}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts.get(kind)! <= LOOKED_AT;
  });
  const depth = (file: string) => file.split('/').length;
  return telling
    .sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))
    .slice(0, MAX_LOOKED_AT)
    .sort();
}

async function readHead(root: string, name: string): Promise<FileHead> {
  const bytes = await readFileStart(join(root, name), HEAD_BYTES);
  return { name, text: new TextDecoder(markedEncoding(bytes) ?? 'utf-8').decode(bytes) };
}

interface Candidate {
  format: DatasetFormat;
  files: string[];
}

function ambiguous(path: string, candidates: readonly Candidate[]): DetectorError {
  const named = candidates.map(({ format, files }) => `${format.title} (${files[0]})`).join(' and ');
  return new DetectorError(
    'CONFIG_INVALID',
    `"${path}" may be ${named}. Give the file or folder of one of them, or say which by format (--format ${candidates[0]!.format.name})`,
  );
}

async function unknown(
  path: string,
  heads: readonly FileHead[],
  place: Place,
  format?: string,
): Promise<DetectorError> {
  for (const { title, claims, remedy } of foreignFormats) {
    const file = (heads.length > 0 ? heads : []).find((head) => claims(head));
    if (file)
      return new DetectorError(
        'DATASET_NOT_FOUND',
        `"${path}" is ${title} (${file.name}), which is not read. ${remedy}`,
      );
  }
  const known = format === undefined ? formats.map(({ title }) => title).join(', ') : format;
  if (place.file !== undefined) {
    return new DetectorError(
      'DATASET_NOT_FOUND',
      `"${path}" is no data set: expected ${known}. ${whatIsThere(heads[0]!)}`,
    );
  }
  const { files } = await place.tree();
  const images = files.filter((file) => IMAGE_NAME.test(file)).length;
  const names = heads.map(({ name }) => name);
  const looked =
    names.length === 0
      ? ''
      : `. No sign of it in ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' and others' : ''}`;
  return new DetectorError(
    'DATASET_NOT_FOUND',
    `No data set was found in "${path}", which has ${images} images and ${files.length - images} other files: expected ${known}${looked}`,
  );
}

function whatIsThere({ text }: FileHead): string {
  if (text.trim() === '') return 'It is empty';
  return `It begins with ${JSON.stringify(text.trim().slice(0, 60))}`;
}
