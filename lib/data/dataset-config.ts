import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkBoolean, checkKeys, checkString } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import { readBoundedFile } from '../files/bounded-file.ts';
import { checkClasses } from '../model/class-list.ts';
import type { BoxOptions } from '../model/default-box-options.ts';
import { checkOrderedBoxes } from '../model/default-box-options.ts';
import type { VocSource } from './voc-files.ts';

/** The content of a data set's YAML file. Paths are absolute. Opening the data set checks whether they exist. */
export interface DatasetConfig {
  /** The YAML file. */
  path: string;
  /** The names of the classes, without the `__background__` that the file may have. */
  classes: string[];
  /** The place of the training images. */
  train: VocSource;
  /** The place of the validation images. */
  valid: VocSource;
  /** The place of the test images, if the file names it. */
  test?: VocSource;
  /** The default boxes for the model, instead of those of its preset. `dinov3-det analyze --write-config` writes them. */
  defaultBoxes?: BoxOptions;
  /**
   * The article's `VISUALIZE_TRANSFORMED_IMAGES`.
   * @default false
   */
  visualizeTransformedImages: boolean;
}

const FOLDER_KEYS = ['TRAIN_IMG', 'TRAIN_ANNOT', 'VALID_IMG', 'VALID_ANNOT'] as const;
const ROOT_KEYS = ['VOC_ROOT', 'TRAIN_SPLIT', 'VALID_SPLIT', 'TEST_SPLIT'] as const;
const KEYS = [...FOLDER_KEYS, ...ROOT_KEYS, 'CLASSES', 'VISUALIZE_TRANSFORMED_IMAGES', 'DEFAULT_BOXES'];

/** 5,000 classes fit in. The parser needs quadratic time for some texts: one second for this much, many minutes for a megabyte. */
const MAX_CONFIG_BYTES = 64 * 1024;
/** The reader takes a second for ten thousand of them. */
const MAX_ANCHORS = 100;

/**
 * Reads the YAML file of a data set. It has these keys:
 *
 * - `CLASSES`.
 * - The article's `TRAIN_IMG`, `TRAIN_ANNOT`, `VALID_IMG` and `VALID_ANNOT`; or `VOC_ROOT` with `TRAIN_SPLIT` (default "train"),
 * `VALID_SPLIT` (default "val") and optionally `TEST_SPLIT`.
 * - Optionally `VISUALIZE_TRANSFORMED_IMAGES`.
 * - Optionally `DEFAULT_BOXES`: `aspectRatios`, `scales`, `steps` and `clip` of the model's default boxes, or `sizes` and `aspectRatios` of
 * RetinaNet's anchors.
 *
 * A relative path starts at the current directory, as in the article. If it exists only in the folder of the YAML file, it starts there.
 *
 * @throws {DetectorError} `CONFIG_INVALID`, naming the file and the key
 */
export async function loadDatasetConfig(path: string): Promise<DatasetConfig> {
  const absolute = resolve(checkString('path', path));
  try {
    return readConfig(absolute, await parseYaml(await readText(absolute)));
  } catch (error) {
    throw invalid(path, error);
  }
}

async function readText(path: string): Promise<string> {
  return new TextDecoder('utf-8', { fatal: true }).decode(await readBoundedFile(path, MAX_CONFIG_BYTES));
}

function invalid(path: string, error: unknown): DetectorError {
  return new DetectorError('CONFIG_INVALID', `Data set config "${path}": ${messageOf(error)}`, { cause: error });
}

/**
 * The text of a data set file for `file` that says what `config`'s does, comments included, with these default boxes and a
 * comment on them. In another folder its paths are absolute, as they would not mean the same there.
 * Rejects with `CONFIG_INVALID` for a file that cannot be read any more.
 */
export async function withDefaultBoxes(
  config: DatasetConfig,
  file: string,
  defaultBoxes: BoxOptions,
  comment: string,
): Promise<string> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(
    await readText(config.path).catch((error) => Promise.reject(invalid(config.path, error))),
  );
  if (dirname(resolve(file)) !== dirname(config.path)) {
    for (const key of [...FOLDER_KEYS, 'VOC_ROOT']) {
      const path = document.get(key);
      if (typeof path === 'string') document.set(key, findPath(dirname(config.path), path));
    }
  }
  const value = document.createNode(defaultBoxes, { flow: true });
  value.comment = ` ${comment}`;
  document.set('DEFAULT_BOXES', value);
  return document.toString({ lineWidth: 0 });
}

export async function parseYaml(text: string): Promise<unknown> {
  if ((text.match(/(^|[\s[{,:-])&\S/g)?.length ?? 0) > MAX_ANCHORS)
    throw new Error(`more than ${MAX_ANCHORS} anchors (&name)`);
  const { parseDocument } = await import('yaml'); // on first use: a program that only detects starts without it
  const document = parseDocument(text, { stringKeys: true });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) throw new Error(problem.message.split('\n')[0]!.slice(0, 300));
  return document.toJS({ maxAliasCount: 100 });
}

function readConfig(path: string, content: unknown): DatasetConfig {
  const values = checkKeys('the file', content, KEYS);
  const classes = checkClasses('CLASSES', values.CLASSES);
  const visualizeTransformedImages = checkBoolean(
    'VISUALIZE_TRANSFORMED_IMAGES',
    values.VISUALIZE_TRANSFORMED_IMAGES ?? false,
  );
  const sources = readSources(dirname(path), values);
  const defaultBoxes = Object.hasOwn(values, 'DEFAULT_BOXES') && {
    defaultBoxes: checkOrderedBoxes('DEFAULT_BOXES', values.DEFAULT_BOXES),
  };
  return { path, classes, ...sources, ...defaultBoxes, visualizeTransformedImages };
}

function readSources(folder: string, values: Record<string, unknown>): Pick<DatasetConfig, 'train' | 'valid' | 'test'> {
  const hasFolders = FOLDER_KEYS.some((key) => Object.hasOwn(values, key));
  const hasRoot = ROOT_KEYS.some((key) => Object.hasOwn(values, key));
  if (hasFolders === hasRoot) {
    throw new Error(
      `Expected either ${FOLDER_KEYS.join(', ')}, or VOC_ROOT; found ${hasRoot ? 'keys of both' : 'neither'}`,
    );
  }
  if (hasRoot) {
    const root = findPath(folder, checkString('VOC_ROOT', values.VOC_ROOT));
    const source = (key: string, fallback?: string) => ({ root, split: checkString(key, values[key] ?? fallback) });
    return {
      train: source('TRAIN_SPLIT', 'train'),
      valid: source('VALID_SPLIT', 'val'),
      ...(Object.hasOwn(values, 'TEST_SPLIT') && { test: source('TEST_SPLIT') }),
    };
  }
  const find = (key: string) => findPath(folder, checkString(key, values[key]));
  return {
    train: { images: find('TRAIN_IMG'), annotations: find('TRAIN_ANNOT') },
    valid: { images: find('VALID_IMG'), annotations: find('VALID_ANNOT') },
  };
}

function findPath(folder: string, path: string): string {
  const [fromHere, fromFile] = [resolve(path), resolve(folder, path)];
  return !existsSync(fromHere) && existsSync(fromFile) ? fromFile : fromHere;
}
