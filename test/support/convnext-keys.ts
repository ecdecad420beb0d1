/** The names of a ConvNeXt's tensors in the programs that write them, made by rule, in the order of ours. */

export const depths = { convnext_test: [1, 1, 2, 1], convnext_tiny: [3, 3, 9, 3], convnext_small: [3, 3, 27, 3] };
export type Naming =
  | 'dinov3-det'
  | 'dinov3'
  | 'convnext'
  | 'huggingface'
  | 'huggingface-model'
  | 'timm'
  | 'article'
  | 'mmdet';

interface Words {
  downsample: (stage: number, layer: number) => string;
  block: (stage: number, block: number) => string;
  /** Depthwise convolution, norm, and the two pointwise ones. */
  layers: readonly [string, string, string, string];
  norm: string;
}

const official = (prefix: string): Words => ({
  downsample: (stage, layer) => `${prefix}downsample_layers.${stage}.${layer}`,
  block: (stage, block) => `${prefix}stages.${stage}.${block}`,
  layers: ['dwconv', 'norm', 'pwconv1', 'pwconv2'],
  norm: `${prefix}norm`,
});
const huggingface = (prefix: string): Words => ({
  downsample: (stage, layer) => `${prefix}stages.${stage}.downsample_layers.${layer}`,
  block: (stage, block) => `${prefix}stages.${stage}.layers.${block}`,
  layers: ['depthwise_conv', 'layer_norm', 'pointwise_conv1', 'pointwise_conv2'],
  norm: 'layer_norm',
});
const words: Record<Naming, Words> = {
  'dinov3-det': official('backbone.'),
  dinov3: official(''),
  convnext: official(''),
  article: official('backbone.backbone_model.'),
  huggingface: huggingface(''),
  'huggingface-model': huggingface('model.'),
  mmdet: {
    ...official('backbone.'),
    layers: ['depthwise_conv', 'norm', 'pointwise_conv1', 'pointwise_conv2'],
    norm: 'backbone.norm3',
  },
  timm: {
    downsample: (stage, layer) => (stage === 0 ? `stem.${layer}` : `stages.${stage}.downsample.${layer}`),
    block: (stage, block) => `stages.${stage}.blocks.${block}`,
    layers: ['conv_dw', 'norm', 'mlp.fc1', 'mlp.fc2'],
    norm: 'head.norm',
  },
};

export function backboneKeys(naming: Naming, blocks: readonly number[]): string[] {
  const { downsample, block, layers, norm } = words[naming];
  const keys: string[] = [];
  const both = (name: string) => keys.push(`${name}.weight`, `${name}.bias`);
  for (const [stage, count] of blocks.entries()) {
    both(downsample(stage, 0));
    both(downsample(stage, 1));
    for (let index = 0; index < count; index++) {
      keys.push(`${block(stage, index)}.gamma`);
      for (const layer of layers) both(`${block(stage, index)}.${layer}`);
    }
  }
  both(norm);
  return keys;
}

/** What else such a file holds: second names, classifiers. */
export const extraKeys: Record<Naming, string[]> = {
  'dinov3-det': [],
  dinov3: ['norms.3.weight', 'norms.3.bias'],
  convnext: ['head.weight', 'head.bias'],
  huggingface: [],
  'huggingface-model': [],
  timm: [],
  article: ['backbone.backbone_model.norms.3.weight', 'backbone.backbone_model.norms.3.bias'],
  mmdet: [1, 2].map((level) => `bbox_head.cls_convs.${level}.0.conv.weight`),
};

/** torchvision's SSD head: six convolutions for classes and six for boxes. */
export const headKeys = ['classification', 'regression'].flatMap((part) =>
  Array.from({ length: 6 }, (_, index) => `head.${part}_head.module_list.${index}`).flatMap((name) => [
    `${name}.weight`,
    `${name}.bias`,
  ]),
);
