import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { suggestion } from '../check.ts';
import {
  type BackboneName,
  backboneNames,
  checkImageSize,
  type DetectorConfig,
  type PresetName,
  presetNames,
} from '../config.ts';
import type { DetectorOptions, LoadOptions } from '../detector.ts';
import { messageOf } from '../errors.ts';
import { type Fusion, fusionNames } from '../feature-pyramid.ts';
import { integers, oneOf } from './option-values.ts';
import { UsageError } from './usage-error.ts';
import { findWeights } from './weights-file.ts';

/** What the options of the model parse to. */
export interface ModelFlags {
  weights?: string;
  modelName?: string;
  backbone?: string;
  imgsz?: number[];
  preset?: PresetName;
  fusion?: Fusion;
  trustTorchscript?: true;
}

export type ModelOptions = Pick<
  DetectorOptions,
  'preset' | 'fusion' | 'backbone' | 'imageSize' | 'weights' | 'trustTorchScript'
>;

/** The article's names, as the DINOv3 repository has them. */
const modelNames = backboneNames.filter((name) => name !== 'convnext_test').map((name) => `dinov3_${name}`);

/** What the presets are, for every command that has them. */
export const presetHelp = 'article: one feature map; best: a feature pyramid, for objects of every size';

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
    .option('--imgsz <size...>', 'width and height that pictures are resized to (default: 640 640)', integers(1))
    .addOption(new Option('--preset <name>', `${presetHelp} (default: article)`).choices(presetNames))
    .addOption(
      new Option(
        '--fusion <name>',
        'of a feature pyramid (--preset best): fpn adds a path from the top down (default: none)',
      ).choices(fusionNames),
    )
    .addOption(new Option('--head <name>', 'the detection head').choices(['ssd']).default('ssd'))
    .option(
      '--trust-torchscript',
      'load a TorchScript file without looking into it: it is a program, and can write files while it is loaded',
    );
}

/** What the flags say about the model. @throws UsageError, or DetectorError for the weights file */
export async function modelOptions(flags: ModelFlags): Promise<ModelOptions> {
  const { preset, fusion, imgsz, weights } = flags;
  const size = imgsz === undefined ? {} : { imageSize: imageSize(imgsz) };
  const backbone = await backboneOf(flags);
  const trust = trustTorchScript(flags);
  const shape = { ...(preset && { preset }), ...(fusion && { fusion }) };
  const options = { ...shape, ...size, ...(backbone && { backbone }), ...trust };
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

/** Refuses flags that contradict the model of a run that goes on. */
export function checkSameModel(options: ModelOptions, config: DetectorConfig): void {
  const { fusion: fused = 'none' } = config;
  const {
    imageSize: size = config.imageSize,
    backbone = config.backbone,
    preset = config.preset,
    fusion = fused,
  } = options;
  const shown = ({ width, height }: { width: number; height: number }) => `${width} ${height}`;
  if (shown(size) !== shown(config.imageSize)) {
    throw new UsageError(`--imgsz ${shown(size)}: the run to resume has ${shown(config.imageSize)}`);
  }
  const name = typeof backbone === 'string' ? backbone : 'torchscript';
  if (name !== config.backbone)
    throw new UsageError(`The run to resume has the backbone ${config.backbone}, not ${name}`);
  if (preset !== config.preset)
    throw new UsageError(`--preset ${preset}: the run to resume has the preset ${config.preset}`);
  if (fusion !== fused) throw new UsageError(`--fusion ${fusion}: the run to resume has the fusion ${fused}`);
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
