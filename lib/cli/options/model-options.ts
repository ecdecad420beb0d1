import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { suggestion } from '../../base/check.ts';
import { messageOf } from '../../base/errors.ts';
import type { DetectorOptions, LoadOptions } from '../../detector/detector-options.ts';
import {
  type BackboneName,
  backboneNames,
  checkImageSize,
  type DetectorConfig,
  type PresetName,
  presetNames,
} from '../../model/config.ts';
import { type HeadName, headNames } from '../../model/detection-head.ts';
import { type Fusion, fusionNames } from '../../model/feature-pyramid.ts';
import {
  type AssignerName,
  assignerNames,
  type BoxLossName,
  boxLossNames,
  type ClassLossName,
  checkLoss,
  classLossNames,
} from '../../model/loss-options.ts';
import { type NmsName, nmsNames } from '../../model/postprocess-options.ts';
import { UsageError } from '../usage-error.ts';
import { integers, oneOf } from './option-values.ts';
import { findWeights } from './weights-file.ts';

/** What the options of the model parse to. */
export interface ModelFlags {
  weights?: string;
  modelName?: string;
  backbone?: string;
  imgsz?: number[];
  preset?: PresetName;
  head?: HeadName;
  fusion?: Fusion;
  classificationLoss?: ClassLossName;
  boxLoss?: BoxLossName;
  backgroundNegatives?: boolean;
  assigner?: AssignerName;
  nms?: NmsName;
  trustTorchscript?: true;
}

type ShapeOptions = Pick<DetectorOptions, 'preset' | 'head' | 'fusion' | 'loss' | 'assigner' | 'nms'>;
export type ModelOptions = ShapeOptions &
  Pick<DetectorOptions, 'backbone' | 'imageSize' | 'weights' | 'trustTorchScript'>;

/** Those that a checkpoint has an answer to. */
export const modelFlagNames = [
  ...['weights', 'modelName', 'backbone', 'imgsz', 'preset', 'head', 'fusion'],
  ...['classificationLoss', 'nms'],
];

/** The article's names, as the DINOv3 repository has them. */
const modelNames = backboneNames.filter((name) => name !== 'convnext_test').map((name) => `dinov3_${name}`);

/** What the presets are, for every command that has them. */
export const presetHelp =
  'best: a feature pyramid, for objects of every size; article: one feature map, trained as the article does';

/** Adds the options that choose a model, the article's among them. */
export function addModelOptions(command: Command): Command {
  return command
    .option(
      '--weight, --weights <file>',
      'weights (.pth or safetensors), or a TorchScript file that is the backbone; a bare name is looked up in the folder DINOv3_WEIGHTS',
    )
    .addOption(
      new Option('--model-name <name>', `the article's name of the backbone: ${modelNames.join(', ')}`).argParser(
        oneOf(modelNames),
      ),
    )
    .addOption(
      new Option(
        '--backbone <name|file>',
        `${backboneNames.join(', ')}, or a TorchScript file (default: convnext_tiny)`,
      ).conflicts('modelName'),
    )
    .option('--imgsz <size...>', 'width and height that images are resized to (default: 640 640)', integers(1))
    .addOption(new Option('--preset <name>', `${presetHelp} (default: best)`).choices(presetNames))
    .addOption(
      new Option(
        '--fusion <name>',
        'of a feature pyramid (--preset best): fpn adds a path from the top down (default: none)',
      ).choices(fusionNames),
    )
    .addOption(
      new Option('--head <name>', "the detection head; retinanet: torchvision's RetinaNet (default: ssd)").choices(
        headNames,
      ),
    )
    .addOption(
      new Option(
        '--classification-loss <name>',
        'hard-negative: softmax; focal: a sigmoid for each class (default: that of the head)',
      ).choices(classLossNames),
    )
    .addOption(new Option('--nms <name>', 'how overlapping boxes become one (default: plain)').choices(nmsNames))
    .option(
      '--trust-torchscript',
      'load a TorchScript file without looking into it: it is a program, and can write files while it is loaded',
    );
}

/** Adds those that training alone has a use for. */
export function addLossOptions(command: Command): Command {
  return command
    .addOption(new Option('--box-loss <name>', 'default: smooth-l1, with --head retinanet l1').choices(boxLossNames))
    .option('--background-negatives', 'learn from images without objects (default, but for the preset article)')
    .option('--no-background-negatives', 'learn nothing from them, with --classification-loss hard-negative')
    .addOption(
      new Option('--assigner <name>', 'what finds the default boxes of an object (default: that of the head)').choices(
        assignerNames,
      ),
    );
}

/** What the flags say about the model. @throws UsageError, or DetectorError for the weights file */
export async function modelOptions(flags: ModelFlags): Promise<ModelOptions> {
  const { imgsz, weights } = flags;
  const size = imgsz === undefined ? {} : { imageSize: imageSize(imgsz) };
  const backbone = await backboneOf(flags);
  const trust = trustTorchScript(flags);
  const options = { ...shapeOptions(flags), ...size, ...(backbone && { backbone }), ...trust };
  if (weights === undefined) return options;
  const { path, kind } = await findWeights(weights);
  if (kind !== 'torchscript') {
    if (typeof backbone === 'object') throw new UsageError('--weights: a TorchScript backbone has its weights in it');
    return { ...options, weights: path };
  }
  if (flags.backbone !== undefined)
    throw new UsageError(`--weights: ${path} is itself a backbone; leave --backbone out`);
  return { ...options, backbone: { torchscript: path } };
}

/** The option of `Detector.create` and `Detector.load`, when the flag is given. */
export function trustTorchScript({ trustTorchscript }: ModelFlags): Pick<LoadOptions, 'trustTorchScript'> {
  return trustTorchscript ? { trustTorchScript: true } : {};
}

function shapeOptions(flags: ModelFlags): ShapeOptions {
  const { preset, head, fusion, assigner, nms, classificationLoss, boxLoss, backgroundNegatives } = flags;
  const loss = {
    ...(classificationLoss && { classification: classificationLoss }),
    ...(boxLoss && { box: boxLoss }),
    ...(backgroundNegatives !== undefined && { backgroundNegatives }),
  };
  return {
    ...(preset && { preset }),
    ...(head && { head }),
    ...(fusion && { fusion }),
    ...(assigner && { assigner }),
    ...(nms && { nms }),
    ...(Object.keys(loss).length > 0 && { loss }),
  };
}

/** Refuses flags that contradict the model of a run that goes on. */
export function checkSameModel(options: ModelOptions, config: DetectorConfig): void {
  const { imageSize: size = config.imageSize, backbone = config.backbone, loss = {} } = options;
  const shown = ({ width, height }: { width: number; height: number }) => `${width} ${height}`;
  if (shown(size) !== shown(config.imageSize)) {
    throw new UsageError(`--imgsz ${shown(size)}: the run to resume has ${shown(config.imageSize)}`);
  }
  const name = typeof backbone === 'string' ? backbone : 'torchscript';
  if (name !== config.backbone)
    throw new UsageError(`The run to resume has the backbone ${config.backbone}, not ${name}`);
  const { head = 'ssd', fusion = 'none', assigner = 'ssd', postprocess, loss: own = checkLoss('loss', {}) } = config;
  const rows: [flag: string, what: string, given: string | boolean | undefined, found: string | boolean][] = [
    ['--preset', 'preset', options.preset, config.preset],
    ['--head', 'head', options.head, head],
    ['--fusion', 'fusion', options.fusion, fusion],
    ['--classification-loss', 'classification loss', loss.classification, own.classification],
    ['--box-loss', 'box loss', loss.box, own.box],
    ['--background-negatives', 'background negatives', loss.backgroundNegatives, own.backgroundNegatives],
    ['--assigner', 'assigner', options.assigner, assigner],
    ['--nms', 'NMS', options.nms, postprocess.nms ?? 'plain'],
  ];
  for (const [flag, what, given, found] of rows) {
    if (given === undefined || given === found) continue;
    if (given === true) throw new UsageError(`${flag}: the run to resume has no ${what}`);
    if (given === false) throw new UsageError(`${flag.replace('--', '--no-')}: the run to resume has ${what}`);
    throw new UsageError(`${flag} ${given}: the run to resume has the ${what} ${found}`);
  }
}

/** Width and height of `--imgsz`. @throws UsageError */
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

async function backboneOf({ backbone, modelName }: ModelFlags): Promise<DetectorOptions['backbone']> {
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
  throw new UsageError(`--backbone: ${path} holds weights and no program; give it with --weights`);
}

function isBackboneName(name: string): name is BackboneName {
  return (backboneNames as readonly string[]).includes(name);
}
