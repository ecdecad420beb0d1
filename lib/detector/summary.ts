import { checkBoolean, checkKeys } from '../base/check.ts';
import type { FeatureMap } from '../binding.ts';
import type { Size } from '../boxes/box.ts';
import type { DetectorConfig } from '../model/config.ts';
import { boxesPerCell } from '../model/default-box-options.ts';
import { headOf } from '../model/detection-head.ts';
import { STRIDES } from '../model/feature-pyramid.ts';
import type { TensorInfo } from '../weights/safetensors.ts';
import type { ModelDescription } from './model-files.ts';

/** One line of a model's layer table. Shapes are for one image, as PyTorch prints them. */
export interface SummaryRow {
  /** The nesting depth, from 0. */
  depth: number;
  name: string;
  inputShape: number[];
  outputShape: number[];
  /** The number of parameters of the layer and everything in it. */
  parameters: number;
}

/** The layer table of a model, with its totals. */
export interface ModelSummary {
  rows: SummaryRow[];
  /** The number of parameters, frozen layers included. */
  totalParameters: number;
  /** The number of trainable parameters: head and feature pyramid, or all of them with `fineTune`. */
  trainableParameters: number;
  /** The number of default boxes or points of one image, on all feature maps. */
  defaultBoxes: number;
}

/** The options of `detector.summary`. */
export interface SummaryOptions {
  /**
   * Whether the parameters of the backbone count as trainable.
   * @default false
   */
  fineTune?: boolean | undefined;
}

/** The layer table of a model, from its configuration, its state and its feature maps. */
export function summarize(
  { config, classes }: ModelDescription,
  tensors: readonly TensorInfo[],
  maps: readonly FeatureMap[],
  options: SummaryOptions,
): ModelSummary {
  const fineTune = checkBoolean('fineTune', checkKeys('options', options, ['fineTune']).fineTune ?? false);
  const labels = classes.length + 1; // with the background
  const { width, height } = config.imageSize;
  const image = [1, 3, height, width];
  const count = (prefix: string) =>
    tensors.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { shape }) => sum + elements(shape), 0);
  const anchors = maps.map((map, k) => map.width * map.height * boxesPerCell(config.defaultBoxes, k));
  const boxes = anchors.reduce((sum, n) => sum + n, 0);
  const stages = stageRows(config, tensors, count);
  const features = shapeOf(maps[0]!);
  const neck = neckOf(config, tensors, maps, count);

  const head = 'head.';
  const { title: name, module: headName, boxes: boxKind, branches } = headOf(config.head);
  const countOf = ({ prefixes }: { prefixes: readonly string[] }) =>
    prefixes.reduce((sum, prefix) => sum + count(`${head}${prefix}`), 0);
  const rows: SummaryRow[] = [
    { depth: 0, name, inputShape: image, outputShape: [boxes, 4], parameters: count('') },
    {
      depth: 1,
      name: `backbone (${config.backbone})`,
      inputShape: image,
      outputShape: stages.at(-1)?.outputShape ?? neck[0]?.inputShape ?? features,
      parameters: count('backbone.'),
    },
    ...stages,
    ...neck,
    {
      depth: 1,
      name: `head (${headName})`,
      inputShape: features,
      outputShape: [1, boxes, labels],
      parameters: count(head),
    },
    {
      depth: 2,
      name: branches.boxes.name,
      inputShape: features,
      outputShape: [1, boxes, 4],
      parameters: countOf(branches.boxes),
    },
    {
      depth: 2,
      name: branches.classes.name,
      inputShape: features,
      outputShape: [1, boxes, labels],
      parameters: countOf(branches.classes),
    },
    {
      depth: 1,
      name: boxKind === 'points' ? boxKind : 'default boxes',
      inputShape: image,
      outputShape: [boxes, 4],
      parameters: 0,
    },
  ];
  const total = count('');
  return {
    rows,
    totalParameters: total,
    trainableParameters: fineTune ? total : total - count('backbone.'),
    defaultBoxes: boxes,
  };
}

/** The four stages of a ConvNeXt with their downsampling, and the final norm; none for a TorchScript backbone. */
function stageRows(
  { imageSize: { width, height } }: DetectorConfig,
  tensors: readonly TensorInfo[],
  count: (prefix: string) => number,
): SummaryRow[] {
  const rows: SummaryRow[] = [];
  let inputShape = [1, 3, height, width];
  for (let stage = 0; ; stage++) {
    const norm = tensors.find(({ name }) => name === `backbone.stages.${stage}.0.norm.weight`);
    if (!norm) break;
    const stride = 4 * 2 ** stage;
    const outputShape = [1, norm.shape[0]!, height / stride, width / stride];
    const parameters = count(`backbone.downsample_layers.${stage}.`);
    rows.push({ depth: 2, name: `downsample_layers.${stage}`, inputShape, outputShape, parameters });
    const blocks = count(`backbone.stages.${stage}.`);
    rows.push({ depth: 2, name: `stages.${stage}`, inputShape: outputShape, outputShape, parameters: blocks });
    const tap = count(`backbone.norms.${stage}.`);
    if (tap > 0) rows.push({ depth: 2, name: `norms.${stage}`, inputShape: outputShape, outputShape, parameters: tap });
    inputShape = outputShape;
  }
  if (rows.length > 0) {
    rows.push({ depth: 2, name: 'norm', inputShape, outputShape: inputShape, parameters: count('backbone.norm.') });
  }
  return rows;
}

type Count = (prefix: string) => number;

function neckOf(
  { head, imageSize }: DetectorConfig,
  tensors: readonly TensorInfo[],
  maps: readonly FeatureMap[],
  count: Count,
): SummaryRow[] {
  const { neck } = headOf(head);
  const rows = neck === 'DenseNeck' ? denseNeckRows(tensors, imageSize, count) : neckRows(tensors, maps, count);
  if (rows.length === 0) return [];
  const [inputShape, outputShape] = [rows[0]!.inputShape, shapeOf(maps.at(-1)!)];
  return [{ depth: 1, name: `neck (${neck})`, inputShape, outputShape, parameters: count('neck.') }, ...rows];
}

/** The layers of a dense neck, of which each has a map or two, joined, of one stride. */
function denseNeckRows(tensors: readonly TensorInfo[], { width, height }: Size, count: Count): SummaryRow[] {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const layer = (name: string, first: string, last: string, stride: number, step = 1): SummaryRow[] => {
    const [input, output] = [first, last].map((part) => shapes.get(`neck.${name}.${part}`));
    if (!input || !output) return [];
    const shape = (channels: number, stride: number) => [1, channels, height / stride, width / stride];
    const [inputShape, outputShape] = [shape(input[1]!, stride), shape(output[0]!, stride * step)];
    return [{ depth: 2, name, inputShape, outputShape, parameters: count(`neck.${name}.`) }];
  };
  const conv = (name: string, stride: number, step = 1) => layer(name, 'conv.weight', 'conv.weight', stride, step);
  const csp = (name: string, stride: number) => layer(name, 'main_conv.conv.weight', 'final_conv.conv.weight', stride);
  return [
    ...STRIDES.flatMap((stride, k) => conv(`projections.${k}`, stride)),
    ...conv('reduce_layers.0', 32),
    ...csp('top_down_blocks.0', 16),
    ...conv('reduce_layers.1', 16),
    ...csp('top_down_blocks.1', 8),
    ...conv('downsamples.0', 8, 2),
    ...csp('bottom_up_blocks.0', 16),
    ...conv('downsamples.1', 16, 2),
    ...csp('bottom_up_blocks.1', 32),
    ...STRIDES.flatMap((stride, k) => conv(`out_convs.${k}`, stride)),
  ];
}

/** The layers of a feature pyramid, in the order in which they are computed; none for a model without one. */
function neckRows(
  tensors: readonly TensorInfo[],
  maps: readonly FeatureMap[],
  count: (prefix: string) => number,
): SummaryRow[] {
  const weights = (list: string, layer: string) =>
    tensors.filter(({ name }) => name.startsWith(`neck.${list}.`) && name.endsWith(`${layer}.weight`));
  const upsamples = weights('upsamples', '.deconv');
  const laterals = weights('inner_blocks', '');
  const extras = weights('extras', '.reduce');
  const blocks = weights('extra_blocks', '');
  const rows: SummaryRow[] = [];
  const add = (name: string, inputShape: number[], outputShape: number[]) =>
    rows.push({ depth: 2, name, inputShape, outputShape, parameters: count(`neck.${name}.`) });
  /** The k-th map with other channels. */
  const withChannels = (k: number, channels: number) => shapeOf({ ...maps[k]!, channels });

  for (const [i, { shape }] of upsamples.entries()) {
    const k = upsamples.length - i;
    add(`upsamples.${i}`, withChannels(k, shape[0]!), withChannels(k - 1, shape[1]!));
  }
  for (const [k, { shape }] of laterals.entries()) {
    add(`inner_blocks.${k}`, withChannels(k, shape[1]!), shapeOf(maps[k]!));
    add(`layer_blocks.${k}`, shapeOf(maps[k]!), shapeOf(maps[k]!));
  }
  for (const [i, { shape }] of extras.entries()) {
    const k = maps.length - extras.length + i;
    add(`extras.${i}`, withChannels(k - 1, shape[1]!), shapeOf(maps[k]!));
  }
  for (const [i, { name, shape }] of blocks.entries()) {
    const k = maps.length - blocks.length + i;
    add(name.slice('neck.'.length, -'.weight'.length), withChannels(k - 1, shape[1]!), shapeOf(maps[k]!));
  }
  return rows;
}

function shapeOf({ channels, height, width }: FeatureMap): number[] {
  return [1, channels, height, width];
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
