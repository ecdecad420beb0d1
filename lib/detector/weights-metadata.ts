import { basename, dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { checkBoolean, checkOneOf } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import type { Resolved } from '../base/option.ts';
import { version } from '../base/version.ts';
import { resizeNames } from '../boxes/letterbox.ts';
import { checkClasses, withBackground } from '../model/class-list.ts';
import { backboneNames, checkDetectorConfig, checkImageSize, checkPreset, presetConfig } from '../model/config.ts';
import { boxesPerCell, checkDefaultBoxes } from '../model/default-box-options.ts';
import { checkHeadWidth, headNames } from '../model/detection-head.ts';
import { featuresNames, fusionNames } from '../model/feature-pyramid.ts';
import {
  assignerNames,
  type LearningOptions,
  readEarlierLoss,
  scoresNames,
  scoresOfLoss,
} from '../model/loss-options.ts';
import { nmsNames } from '../model/postprocess-options.ts';
import { classLossOf, scoresOf } from '../model/scores.ts';
import { ARTICLE_SOURCE } from '../weights/key-maps.ts';
import { openWeights, weightsFormat } from '../weights/open-weights.ts';
import { readSafetensorsHeader } from '../weights/safetensors.ts';
import type { createTable } from './detector-options.ts';
import { findManifest } from './manifest.ts';
import type { ModelDescription } from './model-files.ts';

const CREATED_BY = 'dinov3-det ';

/**
 * What a safetensors file of a detector says of it, so that its head is used as it was trained. Values are text, as the format wants;
 * lists and objects are JSON. `format: pt` is what Hugging Face's loaders look for. Default boxes are there if they are chosen ones.
 */
export function describeWeights({ classes, config }: ModelDescription): Record<string, string> {
  const {
    preset,
    backbone,
    imageSize,
    resize,
    head,
    headWidth,
    endToEnd,
    features,
    fusion,
    defaultBoxes,
    scores,
    postprocess,
  } = config;
  const { defaultBoxes: usual } = presetConfig(preset, 'torchscript', imageSize, {
    ...(head && { head }),
    ...(features && { features }),
    ...(fusion && { fusion }),
  });
  const { nms } = postprocess;
  return {
    format: 'pt',
    created_by: `${CREATED_BY}${version}`,
    classes: JSON.stringify(withBackground(classes)),
    image_size: JSON.stringify(imageSize),
    ...(resize && { resize }),
    preset,
    backbone,
    ...(head && { head }),
    ...(headWidth && { head_width: String(headWidth) }),
    ...(endToEnd && { end_to_end: 'true' }),
    ...(features && { features }),
    ...(fusion && { fusion }),
    ...(!isDeepStrictEqual(defaultBoxes, usual) && { default_boxes: JSON.stringify(defaultBoxes) }),
    ...(scores && { scores }),
    ...(nms && { nms }),
  };
}

/** The options of `create`, checked. */
export type CreateOptions = Resolved<typeof createTable>;

/** The detector that a file is of; the article's has no names for its classes. */
type FileModel = Partial<Pick<CreateOptions, (typeof fileKeys)[number]>> & {
  classCount: number;
  /** What an earlier version said of its training. */
  learning?: LearningOptions;
};

const fileKeys = [
  ...(['classes', 'preset', 'backbone', 'imageSize', 'resize', 'head', 'headWidth', 'endToEnd'] as const),
  ...(['features', 'fusion'] as const),
  ...(['defaultBoxes', 'scores', 'nms'] as const),
] as const;

/** How each option reads what the metadata has for it. */
const readers: Record<string, [option: keyof FileModel, read: (name: string, text: string) => unknown]> = {
  image_size: ['imageSize', (name, text) => checkImageSize(name, JSON.parse(text))],
  resize: ['resize', (name, text) => checkOneOf(name, text, resizeNames)],
  preset: ['preset', checkPreset],
  head: ['head', (name, text) => checkOneOf(name, text, headNames)],
  head_width: ['headWidth', (name, text) => checkHeadWidth(name, JSON.parse(text))],
  end_to_end: ['endToEnd', (name, text) => checkBoolean(name, JSON.parse(text))],
  features: ['features', (name, text) => checkOneOf(name, text, featuresNames)],
  fusion: ['fusion', (name, text) => checkOneOf(name, text, fusionNames)],
  default_boxes: ['defaultBoxes', (name, text) => checkDefaultBoxes(name, JSON.parse(text))],
  scores: ['scores', (name, text) => checkOneOf(name, text, scoresNames)],
  nms: ['nms', (name, text) => checkOneOf(name, text, nmsNames)],
};

/** The training of an earlier version's file, and what its loss says of the scores. */
function readLearning({ loss, assigner }: Record<string, string>): Pick<FileModel, 'learning' | 'scores'> {
  const learning = {
    ...(loss !== undefined && readEarlierLoss('loss', JSON.parse(loss))),
    ...(assigner !== undefined && { assigner: checkOneOf('assigner', assigner, assignerNames) }),
  };
  const { classification } = learning.loss ?? {};
  return { learning, ...(classification && { scores: scoresOfLoss(classification) }) };
}

/** Undefined for a file that has no head or does not say what it is. That of a checkpoint is what the checkpoint says. */
async function readFileModel(path: string): Promise<FileModel | undefined> {
  const format = await weightsFormat(path);
  if (format === 'torchscript') return undefined;
  return (format === 'safetensors' ? await readOwnModel(path) : undefined) ?? (await readArticleModel(path));
}

/** A file by the article's names says by its head for how many classes it is. */
async function readArticleModel(path: string): Promise<FileModel | undefined> {
  const { source, tensors } = await openWeights(path);
  if (source !== ARTICLE_SOURCE) return undefined;
  const [outputs] = tensors.find(({ name }) => name === 'head.classification_head.module_list.0.bias')?.shape ?? [];
  const { defaultBoxes } = presetConfig('article', 'torchscript', { width: 64, height: 64 });
  return outputs === undefined
    ? undefined
    : { preset: 'article', classCount: outputs / boxesPerCell(defaultBoxes, 0) - 1 };
}

async function readOwnModel(path: string): Promise<FileModel | undefined> {
  const { metadata: own, tensors } = await readSafetensorsHeader(path);
  if (!tensors.some(({ name }) => name.startsWith('head.'))) return undefined;
  const metadata = Object.keys(own).length > 0 ? own : await describeCheckpoint(path);
  const { created_by: createdBy, classes, backbone } = metadata;
  if (!createdBy?.startsWith(CREATED_BY) || classes === undefined) return undefined;
  try {
    const native = backboneNames.find((name) => name === backbone);
    const options = Object.entries(readers).flatMap(([key, [option, read]]) =>
      metadata[key] === undefined ? [] : [[option, read(key, metadata[key])]],
    );
    const names = checkClasses('classes', JSON.parse(classes));
    return {
      classes: names,
      classCount: names.length,
      ...(native && { backbone: native }),
      ...readLearning(metadata),
      ...Object.fromEntries(options),
    };
  } catch (error) {
    throw new DetectorError(
      'WEIGHTS_INVALID',
      `The metadata of ${path}, written by ${createdBy}, is not valid: ${messageOf(error)}. Export the detector anew`,
      { cause: error },
    );
  }
}

/** The metadata that the model's file in a checkpoint would have. */
async function describeCheckpoint(path: string): Promise<Record<string, string>> {
  const found = basename(path) === 'model.safetensors' ? await findManifest(dirname(path)) : undefined;
  if (found === undefined) return {};
  const { manifest } = found;
  const classes = checkClasses('classes', manifest.classes);
  return describeWeights({ classes, config: checkDetectorConfig(manifest.model) });
}

/** The head fits a detector of these alone. */
const shapeKeys = ['preset', 'head', 'headWidth', 'features', 'fusion'] as const;
const usualShape = { preset: 'article', head: 'ssd', headWidth: undefined, features: 'last', fusion: 'none' };

/**
 * The options for a detector of the file that is given as `weights`: where its head is of use, what is left out is as the metadata of
 * the file says. Of a file of another shape than is asked for the backbone alone is of use, and says nothing. `fileClasses` are there
 * where they are others than those that are asked for.
 *
 * @throws DetectorError `WEIGHTS_MISMATCH` for options under which the file's head would mean something else; `WEIGHTS_NOT_FOUND`,
 * `WEIGHTS_INVALID`
 */
export async function withFileModel(
  given: CreateOptions,
): Promise<CreateOptions & Pick<FileModel, 'learning'> & { fileClasses?: readonly string[] }> {
  const { weights: path, classes } = given;
  const file = path === undefined ? undefined : await readFileModel(path);
  if (path === undefined || file === undefined) return given;
  const isOther = shapeKeys.some((key) => given[key] !== undefined && given[key] !== (file[key] ?? usualShape[key]));
  const { classCount, ...all } = file;
  if (hasOtherClasses(classes, file)) {
    if (isOther || (given.scores !== undefined && given.scores !== scoresOf(file))) return given;
    return { ...all, ...given, fileClasses: file.classes! };
  }
  if (classCount !== classes.length) return given;
  checkMeaning(path, { ...given, classes }, file);
  const { scores, nms, learning } = file;
  const scoring = { ...(scores && { scores }), ...(nms && { nms }), ...(learning && { learning }) };
  return { ...(isOther ? scoring : all), ...given };
}

/** Whether its classes are others, some of them perhaps the same; as many others are the same ones by other names. */
function hasOtherClasses(ours: readonly string[], { classes: theirs }: FileModel): boolean {
  if (theirs === undefined) return false;
  const shared = ours.filter((name) => theirs.includes(name)).length;
  const isSameSet = shared === ours.length && shared === theirs.length;
  return !isSameSet && (shared > 0 || ours.length !== theirs.length);
}

function checkMeaning(path: string, given: CreateOptions, file: FileModel): void {
  const refuse = (key: string, found: string, expected: string, remedy: string) => {
    throw new DetectorError(
      'WEIGHTS_MISMATCH',
      `The head in ${path} does not go with ${key} ${found}: it was trained with ${expected}. ${remedy}, or give the backbone alone ` +
        '(dinov3-det export --part backbone)',
    );
  };
  const { head = 'ssd', classes } = file;
  if (given.head !== undefined && given.head !== head) refuse('head', given.head, head, 'Leave head (--head) out');
  const trained = scoresOf(file);
  const classification = given.loss?.classification;
  if (given.scores !== undefined && given.scores !== trained) {
    refuse('scores', given.scores, trained, 'Leave scores (--scores) out');
  }
  if (classification !== undefined && scoresOfLoss(classification) !== trained) {
    const remedy = 'Leave loss.classification (--classification-loss) out';
    refuse('loss.classification', classification, classLossOf(trained, file.head), remedy);
  }
  if (classes === undefined) return;
  const [ours, theirs] = [given.classes, classes].map((names) => names.join(', ')) as [string, string];
  if (ours !== theirs && isDeepStrictEqual([...given.classes].sort(), [...classes].sort())) {
    refuse('the order of classes', ours, theirs, 'Give them in this order');
  }
}
