import { checkBoolean, checkKeys } from '../base/check.ts';
import type { FeatureMap } from '../binding.ts';
import type { DetectorConfig } from '../model/config.ts';
import { boxesPerCell } from '../model/default-box-options.ts';
import { headOf } from '../model/detection-head.ts';
import type { TensorInfo } from '../weights/safetensors.ts';
import type { ModelDescription } from './model-files.ts';

/** One line of a model's layer table; shapes as PyTorch prints them, for one image. */
export interface SummaryRow {
  /** Nesting, from 0. */
  depth: number;
  name: string;
  inputShape: number[];
  outputShape: number[];
  /** Parameters of the layer and everything in it. */
  parameters: number;
}

/** The layer table of a model, and its sums. */
export interface ModelSummary {
  rows: SummaryRow[];
  /** Numbers in the weights, those of frozen layers too. */
  totalParameters: number;
  /** With the backbone frozen: those of the head and of the feature pyramid, if there is one. With `fineTune` all of them. */
  trainableParameters: number;
  /** For one image, on all feature maps. */
  defaultBoxes: number;
}

/** What `detector.summary` counts. */
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
  const neck = neckRows(tensors, maps, count);

  const head = 'head.';
  const { title: name, module: headName } = headOf(config.head);
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
      name: 'regression_head',
      inputShape: features,
      outputShape: [1, boxes, 4],
      parameters: count(`${head}regression_head.`),
    },
    {
      depth: 2,
      name: 'classification_head',
      inputShape: features,
      outputShape: [1, boxes, labels],
      parameters: count(`${head}classification_head.`),
    },
    { depth: 1, name: 'default boxes', inputShape: image, outputShape: [boxes, 4], parameters: 0 },
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
  if (rows.length === 0) return [];
  const [inputShape, outputShape] = [rows[0]!.inputShape, shapeOf(maps.at(-1)!)];
  return [{ depth: 1, name: 'neck (FeaturePyramid)', inputShape, outputShape, parameters: count('neck.') }, ...rows];
}

function shapeOf({ channels, height, width }: FeatureMap): number[] {
  return [1, channels, height, width];
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
