import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkKeys,
  checkOneOf,
  checkString,
  suggestion,
} from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { checkSignal } from '../base/signal.ts';
import { MAX_IMAGE_PIXELS } from '../images/limits.ts';
import { checkClasses } from '../model/class-list.ts';
import { defaultLimits } from './annotation-limits.ts';
import { checked } from './dataset.ts';
import { type DetectedDataset, detectDataset } from './detect-dataset.ts';
import { ClassLookup } from './examine-objects.ts';
import { formats } from './formats/formats.ts';
import { joinParts } from './join-parts.ts';
import { checkNotEmpty } from './not-empty.ts';
import type { DatasetHandle, OpenDatasetOptions } from './open-dataset-options.ts';
import { type PartName, partNames } from './part-name.ts';
import { readPart } from './read-part.ts';
import { exifModes } from './read-size.ts';
import type { WrittenPart } from './written-image.ts';

/** Names beyond so many are no classes: a number or a file name was taken for one. */
const MAX_CLASSES = 20_000;

/** What `findDataset` does. */
export async function locateDataset(path: string, options: OpenDatasetOptions): Promise<DatasetHandle> {
  const resolved = resolveOptions(options);
  const found = await detectDataset(checkString('path', path), resolved);
  const source = `${found.format.title} (${found.description})`;
  let known: Promise<string[]> | undefined;
  const classes = () => {
    known ??= classesOf(path, found, resolved);
    return known;
  };
  return {
    ...{ source, classes, config: found.config },
    parts: partNames.filter((part) => found.parts.has(part)),
    async open(split, onProgress = () => {}) {
      const part = await writtenPart(path, found, split);
      const names = await classes();
      const { samples, issues, counts } = await readPart(part, {
        ...resolved,
        lookup: new ClassLookup(names),
        onProgress,
      });
      const place = split === undefined ? `"${path}"` : `part ${split} of "${path}"`;
      checkNotEmpty(place, samples, issues);
      return checked({ classes: names, samples, issues, length: samples.length, source, counts });
    },
  };
}

const keys = [
  ...[
    'split',
    'classes',
    'format',
    'images',
    'verifyImages',
    'exif',
    'keepUnreadable',
    'maxAnnotationBytes',
    'maxObjects',
    'maxPixels',
  ],
  ...['signal', 'onProgress'],
];

function resolveOptions(given: OpenDatasetOptions) {
  const options = checkKeys('options', given, keys) as OpenDatasetOptions;
  if (options.split !== undefined) checkOneOf('split', options.split, partNames);
  if (options.onProgress !== undefined) checkFunction('onProgress', options.onProgress);
  if (options.images !== undefined) checkString('images', options.images);
  const names = formats.map(({ name }) => name);
  return {
    format: options.format === undefined ? undefined : checkOneOf('format', options.format, names),
    images: options.images,
    classes: options.classes === undefined ? undefined : checkClasses('classes', options.classes),
    verifyImages: checkBoolean('verifyImages', options.verifyImages ?? true),
    exif: checkOneOf('exif', options.exif ?? 'auto', exifModes),
    keepUnreadable: checkBoolean('keepUnreadable', options.keepUnreadable ?? false),
    maxPixels: checkInteger('maxPixels', options.maxPixels ?? MAX_IMAGE_PIXELS, 1),
    limits: {
      maxAnnotationBytes: checkInteger(
        'maxAnnotationBytes',
        options.maxAnnotationBytes ?? defaultLimits.maxAnnotationBytes,
        1,
      ),
      maxObjects: checkInteger('maxObjects', options.maxObjects ?? defaultLimits.maxObjects, 1),
    },
    signal: checkSignal('signal', options.signal),
  };
}

/** The classes that were asked for, those of the source, or the names in all of its annotations. */
async function classesOf(
  path: string,
  found: DetectedDataset,
  options: ReturnType<typeof resolveOptions>,
): Promise<string[]> {
  const names = options.classes ?? found.classes ?? (await labelsOf(path, found, options.signal));
  try {
    return checkClasses('classes', names);
  } catch (error) {
    const what = names.length === 0 ? 'no object has a class' : (error as Error).message;
    throw new DetectorError('DATASET_EMPTY', `The classes of "${path}" cannot be used: ${what}`, { cause: error });
  }
}

async function labelsOf(path: string, { parts }: DetectedDataset, signal?: AbortSignal): Promise<string[]> {
  const labels = new Set<string>();
  for (const open of parts.values()) {
    const part = await open();
    for (let index = 0; index < part.length; index++) {
      signal?.throwIfAborted();
      for (const { label, fault } of (await part.at(index)).objects) if (!fault) labels.add(label);
      if (labels.size <= MAX_CLASSES) continue;
      const example = [...labels].slice(0, 3).join(', ');
      throw new DetectorError(
        'DATASET_EMPTY',
        `"${path}" has more than ${MAX_CLASSES} different labels, such as ${example}. Say by classes which of them are meant`,
      );
    }
  }
  return [...labels].sort();
}

async function writtenPart(
  path: string,
  { parts }: DetectedDataset,
  split: PartName | undefined,
): Promise<WrittenPart> {
  if (split === undefined) return joinParts(await Promise.all([...parts.values()].map((open) => open())));
  const open = parts.get(split);
  if (open) return await open();
  const given = partNames.filter((part) => parts.has(part));
  const what =
    given.length === 0
      ? 'nothing says which images belong to which part. Open all of it and divide it with splitDataset (--split 0.8/0.1/0.1)'
      : `it has ${given.join(' and ')}${suggestion(split, given)}`;
  throw new DetectorError('DATASET_NOT_FOUND', `"${path}" has no part ${split}: ${what}`);
}
