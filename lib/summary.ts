import type { FeatureMap } from './binding.ts';
import type { DetectorConfig } from './config.ts';
import type { TensorInfo } from './weights/safetensors.ts';

/** One line of a model's layer table; shapes as PyTorch prints them, for one picture. */
export interface SummaryRow {
  /** Nesting, from 0. */
  depth: number;
  name: string;
  inputShape: number[];
  outputShape: number[];
  /** Parameters of the layer and everything in it. */
  parameters: number;
}

export interface ModelSummary {
  rows: SummaryRow[];
  totalParameters: number;
  /** With the backbone frozen: the head's. With `fineTune` all of them. */
  trainableParameters: number;
  defaultBoxes: number;
}

/** The layer table of a model, from its state, its feature maps and its configuration. */
export function summarize(
  config: DetectorConfig,
  classes: number,
  tensors: readonly TensorInfo[],
  maps: readonly FeatureMap[],
  fineTune: boolean,
): ModelSummary {
  const { width, height } = config.imageSize;
  const image = [1, 3, height, width];
  const count = (prefix: string) =>
    tensors.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { shape }) => sum + elements(shape), 0);
  const anchors = maps.map((map, k) => map.width * map.height * (2 + 2 * config.defaultBoxes.aspectRatios[k]!.length));
  const boxes = anchors.reduce((sum, n) => sum + n, 0);
  const features = shapeOf(maps[0]!);

  const head = 'head.';
  const rows: SummaryRow[] = [
    { depth: 0, name: 'SSD', inputShape: image, outputShape: [boxes, 4], parameters: count('') },
    {
      depth: 1,
      name: `backbone (${config.backbone})`,
      inputShape: image,
      outputShape: features,
      parameters: count('backbone.'),
    },
    ...stageRows(config, tensors, count),
    {
      depth: 1,
      name: 'head (SSDHead)',
      inputShape: features,
      outputShape: [1, boxes, classes],
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
      outputShape: [1, boxes, classes],
      parameters: count(`${head}classification_head.`),
    },
    { depth: 1, name: 'default boxes', inputShape: image, outputShape: [boxes, 4], parameters: 0 },
  ];
  const total = count('');
  return { rows, totalParameters: total, trainableParameters: fineTune ? total : count(head), defaultBoxes: boxes };
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
    inputShape = outputShape;
  }
  if (rows.length > 0) {
    rows.push({ depth: 2, name: 'norm', inputShape, outputShape: inputShape, parameters: count('backbone.norm.') });
  }
  return rows;
}

function shapeOf({ channels, height, width }: FeatureMap): number[] {
  return [1, channels, height, width];
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
