import { resolve } from 'node:path';
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
import { defaultLimits, MAX_ANNOTATION_BYTES } from './annotation-limits.ts';
import { checked } from './dataset.ts';
import type { DatasetConfig } from './dataset-config.ts';
import { type DetectedDataset, detectDataset } from './detect-dataset.ts';
import { ClassLookup } from './examine-objects.ts';
import { Footprint } from './footprint.ts';
import { formats } from './formats/formats.ts';
import { joinParts } from './join-parts.ts';
import { keepPart, takePart } from './kept-part.ts';
import { checkNotEmpty } from './not-empty.ts';
import type { DatasetHandle, OpenDatasetOptions, OpenedDataset } from './open-dataset-options.ts';
import { OpeningCache } from './opening-cache.ts';
import { type PartName, partNames } from './part-name.ts';
import { type PartContent, readPart } from './read-part.ts';
import { exifModes } from './read-size.ts';
import type { WrittenPart } from './written-image.ts';

/** Names beyond so many are no classes: a number or a file name was taken for one. */
const MAX_CLASSES = 20_000;

/** What `findDataset` does. */
export async function locateDataset(path: string, options: OpenDatasetOptions): Promise<DatasetHandle> {
  const { cache: isCached, signal, ...resolved } = resolveOptions(options);
  const key = [resolve(checkString('path', path)), resolved];
  const cache = isCached ? await OpeningCache.open(key, signal) : undefined;
  const dataset = new LocatedDataset(path, { ...resolved, signal }, cache);
  await dataset.describe();
  return dataset.handle();
}

/** What is told of a data set before one of its parts is opened. */
interface Description {
  source: string;
  parts: PartName[];
  config?: DatasetConfig | undefined;
  /** Once they are known. */
  classes?: string[];
}

/** A data set at a path. Whatever the cache has of it is not looked for again. */
class LocatedDataset {
  readonly #path: string;
  readonly #options: ResolvedOptions;
  readonly #cache: OpeningCache | undefined;
  readonly #footprint = new Footprint();
  #description: Description;
  #found: Promise<DetectedDataset> | undefined;
  #classes: Promise<string[]> | undefined;

  constructor(path: string, options: ResolvedOptions, cache: OpeningCache | undefined) {
    this.#path = path;
    this.#options = options;
    this.#cache = cache;
    this.#description = (cache?.get(DESCRIPTION)?.meta as Description | undefined) ?? { source: '', parts: [] };
  }

  /** Finds out what it is. */
  async describe(): Promise<void> {
    if (this.#description.source !== '') return;
    const { format, description, config, parts } = await this.#find();
    this.#description = {
      source: `${format.title} (${description})`,
      parts: partNames.filter((part) => parts.has(part)),
      ...(config && { config }),
    };
  }

  handle(): DatasetHandle {
    const { source, parts, config } = this.#description;
    const classes = () => this.#classNames();
    return { source, parts, config, classes, open: (split, onProgress) => this.#open(split, onProgress) };
  }

  #find(): Promise<DetectedDataset> {
    this.#found ??= detectDataset(this.#path, { ...this.#options, footprint: this.#footprint });
    return this.#found;
  }

  #classNames(): Promise<string[]> {
    const known = this.#description.classes;
    this.#classes ??= known ? Promise.resolve(known) : this.#findClasses();
    return this.#classes;
  }

  async #findClasses(): Promise<string[]> {
    const classes = await classesOf(this.#path, await this.#find(), this.#options, this.#footprint);
    this.#description = { ...this.#description, classes };
    return classes;
  }

  async #open(split?: PartName, onProgress = (_done: number, _total: number) => {}): Promise<OpenedDataset> {
    const classes = await this.#classNames();
    const { samples, issues, counts } =
      (await this.#known(split, classes)) ?? (await this.#read(split, classes, onProgress));
    const { source } = this.#description;
    return checked({ classes, samples: samples.list(), issues, length: samples.length, source, counts });
  }

  async #known(split: PartName | undefined, classes: string[]): Promise<PartContent | undefined> {
    const entry = this.#cache?.get(entryOf(split));
    return entry && (await takePart(entry, classes, this.#options.signal));
  }

  async #read(
    split: PartName | undefined,
    classes: string[],
    onProgress: (done: number, total: number) => void,
  ): Promise<PartContent> {
    const [path, footprint, { signal }] = [this.#path, this.#footprint, this.#options];
    const part = await writtenPart(path, await this.#find(), split);
    const lookup = new ClassLookup(classes);
    const content = await readPart(part, { ...this.#options, lookup, split, footprint, onProgress });
    checkNotEmpty(split === undefined ? `"${path}"` : `part ${split} of "${path}"`, content.samples, content.issues);
    this.#cache?.set(DESCRIPTION, { meta: this.#description, columns: {} });
    this.#cache?.set(entryOf(split), keepPart(content));
    await this.#cache?.save(footprint, signal);
    return content;
  }
}

const DESCRIPTION = 'description';

function entryOf(split: PartName | undefined): string {
  return `part ${split ?? 'all'}`;
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
    'cache',
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
    cache: checkBoolean('cache', options.cache ?? true),
    exif: checkOneOf('exif', options.exif ?? 'auto', exifModes),
    keepUnreadable: checkBoolean('keepUnreadable', options.keepUnreadable ?? false),
    maxPixels: checkInteger('maxPixels', options.maxPixels ?? MAX_IMAGE_PIXELS, 1),
    limits: {
      maxAnnotationBytes: checkInteger(
        'maxAnnotationBytes',
        options.maxAnnotationBytes ?? defaultLimits.maxAnnotationBytes,
        1,
        MAX_ANNOTATION_BYTES,
      ),
      maxObjects: checkInteger('maxObjects', options.maxObjects ?? defaultLimits.maxObjects, 1),
    },
    signal: checkSignal('signal', options.signal),
  };
}

type ResolvedOptions = Omit<ReturnType<typeof resolveOptions>, 'cache'>;

/** The classes that were asked for, those of the source, or the names in all of its annotations. */
async function classesOf(
  path: string,
  found: DetectedDataset,
  { classes, signal }: ResolvedOptions,
  footprint: Footprint,
): Promise<string[]> {
  const names = classes ?? found.classes ?? (await labelsOf(path, found, footprint, signal));
  try {
    return checkClasses('classes', names);
  } catch (error) {
    const what = names.length === 0 ? 'no object has a class' : (error as Error).message;
    throw new DetectorError('DATASET_EMPTY', `The classes of "${path}" cannot be used: ${what}`, { cause: error });
  }
}

async function labelsOf(
  path: string,
  { parts }: DetectedDataset,
  footprint: Footprint,
  signal?: AbortSignal,
): Promise<string[]> {
  const labels = new Set<string>();
  for (const open of parts.values()) {
    const part = await open();
    for (let index = 0; index < part.length; index++) {
      signal?.throwIfAborted();
      const { annotationPath, objects } = await part.at(index);
      footprint.use(annotationPath);
      for (const { label, fault } of objects) if (!fault) labels.add(label);
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
