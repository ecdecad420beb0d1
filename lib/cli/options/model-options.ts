import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { suggestion } from '../../base/check.ts';
import { messageOf } from '../../base/errors.ts';
import { type Given, pick } from '../../base/option.ts';
import { kebabCase } from '../../base/option-words.ts';
import { createTable, type DetectorOptions } from '../../detector/detector-options.ts';
import {
  type BackboneName,
  backboneNames,
  checkImageSize,
  checkPreset,
  type DetectorConfig,
} from '../../model/config.ts';
import { type ClassLossName, lossTable, scoresOfLoss } from '../../model/loss-options.ts';
import { scoresOf } from '../../model/scores.ts';
import { UsageError } from '../usage-error.ts';
import { addOptions, addOwn, givenOptions } from './option-flags.ts';
import { findWeights } from './weights-file.ts';

/** The model options that a checkpoint already contains. */
const ownTable = pick(createTable, [
  ...([
    'weights',
    'preset',
    'backbone',
    'imageSize',
    'resize',
    'head',
    'headWidth',
    'endToEnd',
    'features',
    'fusion',
    'scores',
  ] as const),
  'nms',
]);
const modelTable = { ...ownTable, ...pick(createTable, ['trustTorchScript']) };

/** The parsed values of the model flags. */
export interface ModelFlags extends Omit<Given<typeof modelTable>, 'imageSize' | 'backbone'> {
  modelName?: string;
  backbone?: string;
  imageSize?: number[];
  /** The class loss, which sets the meaning of scores. */
  lossClassification?: ClassLossName;
}

export type ModelOptions = Pick<DetectorOptions, keyof typeof modelTable>;

/** The names of flags that a checkpoint makes superfluous. */
export const modelFlagNames = [...Object.keys(ownTable), 'modelName', 'lossClassification'];

/** The backbone names of the article, from the DINOv3 repository. */
const modelNames = backboneNames.filter((name) => name !== 'convnext_test').map((name) => `dinov3_${name}`);

/** Adds the options that choose a model, the article's names included. */
export function addModelOptions<C extends Command>(command: C): C {
  const { group } = createTable.backbone;
  const article = new Option('--model-name <name>', `the article's name of the backbone: ${modelNames.join(', ')}`);
  addOptions(command, modelTable);
  addOwn(command, group ?? '', article.argParser(modelName).conflicts('backbone'));
  // The class loss sets the meaning of scores, so a model needs its flag.
  addOptions(command, {
    loss: { ...createTable.loss, kind: { ...createTable.loss.kind, fields: pick(lossTable, ['classification']) } },
  });
  return command;
}

function modelName(text: string): string {
  const chosen = modelNames.find((name) => name === text.toLowerCase());
  if (chosen !== undefined) return chosen;
  throw new InvalidArgumentError(`Expected one of ${modelNames.join(', ')}${suggestion(text, modelNames) || '.'}`);
}

/** Converts the flags to model options. @throws {UsageError}, or {DetectorError} for the weights file */
export async function modelOptions(flags: ModelFlags): Promise<ModelOptions> {
  const { weights: _, backbone: __, imageSize: size, ...own } = givenOptions(modelTable, flags);
  const backbone = await backboneOf(flags);
  const options: ModelOptions = {
    ...own,
    ...scoresOfFlags(flags),
    ...(size !== undefined && { imageSize: size === null ? null : imageSize(size as number[]) }),
    ...(backbone && { backbone }),
  };
  const { weights } = flags;
  if (weights === undefined || weights === null) return options;
  const { path, kind } = await findWeights(weights);
  if (kind !== 'torchscript') {
    if (typeof backbone === 'object')
      throw new UsageError('--weights: a TorchScript backbone contains its weights. Leave --weights out');
    return { ...options, weights: path };
  }
  if (flags.backbone !== undefined)
    throw new UsageError(`--weights: ${path} is itself a backbone. Leave --backbone out`);
  return { ...options, backbone: { torchscript: path } };
}

/** Derives the meaning of scores from the class loss, unless `--scores` is given. */
function scoresOfFlags({ scores, lossClassification: loss }: ModelFlags): Pick<ModelOptions, 'scores'> {
  return loss === undefined || scores !== undefined ? {} : { scores: scoresOfLoss(loss) };
}

/** Rejects flags that contradict the model of the run to resume. @throws {UsageError} */
export function checkSameModel(options: ModelOptions, config: DetectorConfig): void {
  const { imageSize: size, backbone } = { ...config, ...withoutNull(options) };
  const shown = ({ width, height }: { width: number; height: number }) => `${width} ${height}`;
  if (shown(size) !== shown(config.imageSize)) {
    throw new UsageError(`--imgsz ${shown(size)}: the run to resume has ${shown(config.imageSize)}`);
  }
  const name = typeof backbone === 'string' ? backbone : 'torchscript';
  if (name !== config.backbone)
    throw new UsageError(`The run to resume has the backbone ${config.backbone}, not ${name}`);
  const {
    preset,
    resize = 'stretch',
    head = 'ssd',
    headWidth,
    endToEnd = false,
    features = 'last',
    fusion = 'none',
    postprocess,
  } = config;
  const found = {
    preset,
    resize,
    head,
    headWidth,
    endToEnd,
    features,
    fusion,
    scores: scoresOf(config),
    nms: postprocess.nms ?? 'plain',
  };
  for (const [key, value] of Object.entries(found)) {
    const given = options[key as keyof typeof found] ?? value;
    if ((key === 'preset' ? checkPreset('preset', given) : given) === value) continue;
    throw new UsageError(
      `--${kebabCase(key)} ${given}: the run to resume has ${value === undefined ? 'none' : `the ${key === 'nms' ? 'NMS' : key} ${value}`}`,
    );
  }
}

function withoutNull<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== null && value !== undefined),
  ) as never;
}

/** Converts `--image-size` to width and height in pixels. @throws {UsageError} */
export function imageSize(imgsz: number[]): { width: number; height: number } {
  const [width, height, ...more] = imgsz;
  if (width === undefined || height === undefined || more.length > 0) {
    throw new UsageError(`--imgsz: expected width and height, as in --imgsz 640 640, found ${imgsz.join(' ')}`);
  }
  try {
    return checkImageSize('imgsz', { width, height });
  } catch (error) {
    throw new UsageError(`--imgsz: ${messageOf(error)}`);
  }
}

async function backboneOf({ backbone, modelName }: ModelFlags): Promise<ModelOptions['backbone']> {
  const name = backbone ?? modelName?.replace(/^dinov3_/, '');
  if (name === undefined || isBackboneName(name)) return name;
  const looksLikeFile = /[\\/.]/.test(name) || (await stat(name).catch(() => undefined)) !== undefined;
  if (!looksLikeFile) {
    throw new UsageError(
      `--backbone: expected ${backboneNames.join(', ')} or a TorchScript file, found "${name}"${suggestion(name, backboneNames)}`,
    );
  }
  const { path, kind } = await findWeights(name);
  if (kind === 'torchscript') return { torchscript: path };
  throw new UsageError(`--backbone: ${path} holds weights, not a program. Give it with --weights`);
}

function isBackboneName(name: string): name is BackboneName {
  return (backboneNames as readonly string[]).includes(name);
}
