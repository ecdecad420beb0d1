import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Dataset } from '../../data/dataset.ts';
import { findDataset } from '../../data/open-dataset.ts';
import type { DatasetHandle } from '../../data/open-dataset-options.ts';
import { type PartName, partNames } from '../../data/part-name.ts';
import { exifModes } from '../../data/read-size.ts';
import type { SplitDatasets } from '../../data/split-dataset.ts';
import { openPart } from '../output/open-dataset.ts';
import { UsageError } from '../usage-error.ts';
import { addOwn } from './option-flags.ts';
import { integer } from './option-values.ts';

/** Where the data of a command are. */
export interface DataFlags {
  data?: string;
  config?: string;
  classes?: string[];
  format?: string;
  images?: string;
  exif?: (typeof exifModes)[number];
  keepUnreadable?: true;
  maxObjects?: number;
  maxPixels?: number;
  maxAnnotationBytes?: number;
  cache?: boolean;
}

/** Adds the options that say where a data set is and how it is read. */
export function addDataOptions(command: Command): Command {
  const own = (flags: string, help: string) => {
    const option = new Option(flags, help);
    addOwn(command, 'Data', option);
    return option;
  };
  own('--data <path>', 'the data set: VOC, COCO, YOLO, LabelMe, CVAT, Label Studio or ImageFolder, detected');
  own('--config <yaml>', 'the data set file (the same as --data)');
  own('--classes <name...>', 'the classes (default: those of the data)');
  own('--format <name>', 'the format, where a folder holds two (default: detected)');
  own('--images <dir>', 'the folder of the images, where they are not beside the annotations');
  own(
    '--exif <mode>',
    'turn images upright: apply, ignore, or auto, unless the stated size fits the stored image',
  ).choices(exifModes);
  own('--keep-unreadable', 'keep images none of whose objects could be read, as images without objects');
  own('--max-objects <n>', 'objects in one image (default: 100000)').argParser(integer(1));
  own('--max-pixels <n>', 'pixels of one image (default: 120000000)').argParser(integer(1));
  own('--max-annotation-bytes <n>', 'bytes of one annotation (default: 67108864)').argParser(integer(1));
  own('--no-cache', 'read all files again, although none has changed');
  return command;
}

/** Finds the data set. @throws UsageError without one, or with two */
export async function findData(flags: DataFlags, signal: AbortSignal, verifyImages = true): Promise<DatasetHandle> {
  const { data, config, classes, format, images, exif, keepUnreadable, maxObjects, maxPixels } = flags;
  const { maxAnnotationBytes, cache } = flags;
  const path = data ?? config;
  if (path === undefined) throw new UsageError('Give the data set with --data PATH (or --config YAML)');
  if (data !== undefined && config !== undefined)
    throw new UsageError('--data and --config name the same thing. Give one of them');
  const options = {
    classes,
    format,
    images,
    exif,
    keepUnreadable,
    maxObjects,
    maxPixels,
    maxAnnotationBytes,
    cache,
    verifyImages,
    signal,
  };
  return await findDataset(path, options);
}

/** The part that a command looks at. */
export interface PartFlags {
  split?: PartName;
  splitFrom?: string;
}

/** Adds the choice of a part, for commands that look at one. */
export function addPartOptions(command: Command, fallback: PartName): Command {
  const help = `the part of the data set (default: ${fallback}; all of it where it has no parts)`;
  addOwn(command, 'Data', new Option('--split <name>', help).choices(partNames));
  const lists = 'the directory with the lists of a training that divided the data set, such as runs/train/split';
  return addOwn(command, 'Data', new Option('--split-from <dir>', lists));
}

/** The part that is meant; undefined for all of a data set without parts. @throws UsageError for a part that is not there */
export function choosePart(data: DatasetHandle, flags: PartFlags, fallback: PartName): PartName | undefined {
  const { split: given, splitFrom } = flags;
  if (splitFrom !== undefined) return given ?? fallback;
  if (given === undefined && data.parts.length === 0) return undefined;
  const part = given ?? fallback;
  if (data.parts.includes(part)) return part;
  const where = data.config
    ? `${data.config.path} has no ${part === 'test' ? 'TEST_SPLIT' : part}`
    : `the ${data.source} has no such part`;
  throw new UsageError(`--split ${part}: ${where}${describeParts(data)}`);
}

/** `0.8/0.1/0.1`, or a directory with lists that an earlier run has written. */
export function splitOption(text: string): number[] | string {
  if (!/^[\d.]+(\/[\d.]+)*$/.test(text)) return text;
  const fractions = text.split('/').map(Number);
  const sum = fractions.reduce((total, each) => total + each, 0);
  if (fractions.length < 2 || fractions.length > 3 || !(Math.abs(sum - 1) < 1e-6)) {
    throw new InvalidArgumentError('Expected fractions with the sum 1, as in 0.8/0.1/0.1, or a directory with lists.');
  }
  return fractions;
}

/** Training and validation data: the parts of the data set, or, with `split`, what it is divided into. */
export async function openTrainingData(
  data: DatasetHandle,
  { split, splitSeed }: { split?: number[] | string; splitSeed?: number },
  signal: AbortSignal,
): Promise<SplitDatasets> {
  if (split !== undefined) return await divide(data, split, splitSeed ?? 0, signal);
  if (!data.parts.includes('valid')) {
    throw new UsageError(
      `There is no validation data in the ${data.source}${describeParts(data)}. Divide it with --split 0.8/0.1/0.1`,
    );
  }
  return { train: await openPart('training', data, 'train'), valid: await openPart('validation', data, 'valid') };
}

function describeParts({ parts }: DatasetHandle): string {
  return parts.length === 0 ? ', which says nothing about parts' : `, which has ${parts.join(' and ')}`;
}

async function divide(
  data: DatasetHandle,
  split: number[] | string,
  seed: number,
  signal: AbortSignal,
): Promise<SplitDatasets> {
  if (data.parts.includes('valid')) {
    throw new UsageError(`--split: the ${data.source} has a validation part already. Leave --split out`);
  }
  // A test part stays what it is: only the rest is divided.
  const whole = await openPart('whole', data, data.parts.includes('train') ? 'train' : undefined);
  if (typeof split === 'string') {
    if (!(await stat(split).catch(() => undefined))?.isDirectory())
      throw new UsageError(
        `--split: expected fractions, as in 0.8/0.1/0.1, or a directory with lists, found "${split}"`,
      );
    const { splitByLists } = await import('../../data/split-lists.ts');
    return await splitByLists(whole, split);
  }
  const { splitDataset } = await import('../../data/split-dataset.ts');
  return await splitDataset(whole, split, { seed, signal });
}

/** A part for evaluation, analysis or preview; of a divided data set as its lists say. */
export async function openDataPart(
  data: DatasetHandle,
  part: PartName | undefined,
  { splitFrom }: PartFlags,
): Promise<Dataset> {
  if (splitFrom === undefined || part === undefined) return await openPart(part ?? 'whole', data, part);
  const { splitByLists } = await import('../../data/split-lists.ts');
  const whole = await openPart('whole', data, data.parts.includes('train') ? 'train' : undefined);
  const found = (await splitByLists(whole, splitFrom))[part];
  if (found) return found;
  throw new UsageError(`--split ${part}: ${splitFrom} has no list ${part}.txt`);
}
