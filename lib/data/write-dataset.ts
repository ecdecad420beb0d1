import { constants, createWriteStream } from 'node:fs';
import { copyFile, readdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkKeys, checkOneOf, checkString } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { mapConcurrently } from '../base/map-concurrently.ts';
import { checkSignal } from '../base/signal.ts';
import type { Box, Size } from '../boxes/box.ts';
import { makeDirectory, replaceFile, writing } from '../files/atomic-file.ts';
import { inspectImage } from '../images/image.ts';
import type { Dataset, Sample } from './dataset.ts';
import type { DatasetWriter, OutputImage, OutputPart } from './formats/writer.ts';
import { writers } from './formats/writers.ts';
import type { PartName } from './part-name.ts';

/** The formats that a data set can be written in. */
export const writerNames: readonly string[] = writers.map(({ name }) => name);

/** The options of `writeDataset`. */
export interface WriteDatasetOptions {
  /** The format: `voc`, `coco`, `yolo`, `labelme` or `label-studio`. */
  format: string;
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal | undefined;
  /**
   * Called after every copied image.
   * @default none
   */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A data set without parts, or its parts. */
export type DatasetParts = { readonly [Part in PartName | 'all']?: Dataset | undefined };

/**
 * Writes a data set with its images into a new or empty folder, in another format: `writeDataset('out', { all: dataset }, { format: 'coco'
 * })`. Reading it again gives the same boxes. Boxes are those of the upright images. The image files are copied unchanged.
 *
 * @throws {TypeError|RangeError} for a wrong option
 * @throws {DetectorError} `OUTPUT_NOT_WRITABLE` for a folder that is not empty or not writable; `IMAGE_UNREADABLE` for a missing image
 * @throws the reason of `signal` when it is aborted
 */
export async function writeDataset(folder: string, parts: DatasetParts, options: WriteDatasetOptions): Promise<void> {
  checkString('folder', folder);
  const given = checkKeys('options', options, ['format', 'signal', 'onProgress']) as unknown as WriteDatasetOptions;
  const format = checkOneOf('format', given.format, writerNames);
  const signal = checkSignal('signal', given.signal);
  const names = checkKeys('parts', parts, ['all', 'train', 'valid', 'test']);
  const output: OutputPart[] = [];
  const nameOf = fileNames();
  for (const name of Object.keys(names) as (keyof DatasetParts)[]) {
    const samples = parts[name]?.samples ?? [];
    const images = await mapConcurrently(samples, (sample) => toOutput(sample));
    output.push({ name, images: images.map((image) => ({ ...image, fileName: nameOf(image.imagePath) })) });
  }
  const classes = Object.values(parts).find((part) => part !== undefined)?.classes ?? [];
  await writeParts(folder, output, classes, { format, signal, onProgress: given.onProgress });
}

/** Writes images and what is known of them, into a new or empty folder. */
export async function writeParts(
  folder: string,
  parts: readonly OutputPart[],
  classes: readonly string[],
  { format, signal, onProgress }: WriteDatasetOptions,
): Promise<void> {
  const writer = writers.find(({ name }) => name === format)!;
  await checkEmpty(folder);
  await copyImages(folder, parts, writer, { signal, onProgress });
  for (const { path, pieces } of writer.files(parts, classes)) {
    signal?.throwIfAborted();
    const target = join(folder, path);
    await makeDirectory(dirname(target));
    await replaceFile(target, (temporary) => pipeline(Readable.from(inChunks(pieces)), createWriteStream(temporary)));
  }
}

async function checkEmpty(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new DetectorError('OUTPUT_NOT_WRITABLE', `Cannot write ${folder}: ${error.message}`, { cause: error });
  });
  if (entries.length === 0) return;
  throw new DetectorError(
    'OUTPUT_NOT_WRITABLE',
    `${folder} is not empty. Name a new or empty folder: nothing is replaced`,
  );
}

async function copyImages(
  folder: string,
  parts: readonly OutputPart[],
  writer: DatasetWriter,
  { signal, onProgress }: Pick<WriteDatasetOptions, 'signal' | 'onProgress'>,
): Promise<void> {
  const total = parts.reduce((sum, { images }) => sum + images.length, 0);
  let done = 0;
  for (const { name, images } of parts) {
    const target = join(folder, writer.imageFolder(name));
    await makeDirectory(target);
    await mapConcurrently(images, async ({ imagePath, fileName }) => {
      signal?.throwIfAborted();
      const path = join(target, fileName);
      await writing(path, () => copyFile(imagePath, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE));
      onProgress?.(++done, total);
    });
  }
}

/** A million short pieces would be a million writes. */
function* inChunks(pieces: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length < 64 * 1024) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

/** A sample with the boxes of the upright image: no format says that its boxes are for the stored one. */
async function toOutput(sample: Sample): Promise<Omit<OutputImage, 'fileName'>> {
  const { imagePath, width, height, objects } = sample;
  if (!sample.stored) return { imagePath, width, height, objects };
  const { orientation } = await inspectImage(imagePath, false);
  const size = { width, height };
  const upright = orientation >= 5 ? { width: height, height: width } : size;
  return {
    imagePath,
    ...upright,
    objects: objects.map((object) => ({ ...object, box: uprightBox(object.box, size, orientation) })),
  };
}

/** A box of the stored image after the image was turned upright by its EXIF orientation, 1 to 8. */
export function uprightBox({ xmin, ymin, xmax, ymax }: Box, { width, height }: Size, orientation: number): Box {
  const mirroredX = { xmin: width - xmax, xmax: width - xmin };
  const mirroredY = { ymin: height - ymax, ymax: height - ymin };
  const x = [2, 3, 7, 8].includes(orientation) ? mirroredX : { xmin, xmax };
  const y = [3, 4, 6, 7].includes(orientation) ? mirroredY : { ymin, ymax };
  return orientation >= 5 ? { xmin: y.ymin, xmax: y.ymax, ymin: x.xmin, ymax: x.xmax } : { ...x, ...y };
}

/** Gives each image a name of its own: `a.jpg`, for a second one `a-2.jpg`. Characters that some systems refuse become `_`. */
export function fileNames(): (path: string) => string {
  const used = new Set<string>();
  return (path) => {
    const extension = extname(path);
    const stem = basename(path, extension).replace(/[\u0000-\u001f<>:"/\\|?*]|^\.|[. ]$/g, '_');
    let name = stem;
    // Annotations have the name without the extension, and letter case does not tell names apart on every disk.
    for (let number = 2; used.has(name.toLowerCase()); number++) name = `${stem}-${number}`;
    used.add(name.toLowerCase());
    return `${name}${extension}`;
  };
}
