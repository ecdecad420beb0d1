import type { TensorInfo } from './safetensors.ts';

/**
 * The tensor names in weight files of a DINOv3 ConvNeXt and its SSD, as data: one map per program that writes such files. Our names begin
 * with `backbone.`, `neck.` or `head.`. `backbone.` precedes the names of the official code (`stages.0.0.dwconv.weight`). `neck.` precedes
 * the names of our feature pyramid or of mmdet's. `head.` precedes the names of torchvision's SSD or RetinaNet head, or of mmdet's RTMDet.
 */
export interface KeyMap {
  /** The program that wrote the file, for messages. */
  source: string;
  /** The signature of the format: each pattern matches at least one name in the file. */
  signature: readonly RegExp[];
  /** Patterns with our names. The first pattern that matches the whole name decides. A name without a match is not needed. */
  rules: readonly (readonly [pattern: RegExp, ours: string])[];
  /** A pattern for second names of tensors that the file also has under a first name. */
  alias?: RegExp;
}

const LEAF = '(weight|bias)';
const HEAD = /^head\.(classification|regression)_head\.module_list\.(\d+)\.(weight|bias)$/;
const OUR_HEAD = 'head.$1_head.module_list.$2.$3';
const RETINANET_HEAD = /^head\.(classification|regression)_head\.(conv\.\d+\.0|cls_logits|bbox_reg)\.(weight|bias)$/;

const DENSE_HEAD =
  /^head\.((?:one_to_one\.)?(?:(?:cls|reg)_convs\.\d+\.\d+\.(?:conv|gn)|rtm_(?:cls|reg)\.\d+))\.(weight|bias)$/;

/** The names of the official ConvNeXt behind a prefix. DINOv3's code and the first release agree. */
function official(prefix: string): KeyMap['rules'] {
  const pattern = (text: string) => new RegExp(`^${prefix}${text}$`);
  return [
    [pattern(`downsample_layers\\.([0-3])\\.([01])\\.${LEAF}`), 'backbone.downsample_layers.$1.$2.$3'],
    [pattern(`stages\\.([0-3])\\.(\\d+)\\.(dwconv|norm|pwconv1|pwconv2)\\.${LEAF}`), 'backbone.stages.$1.$2.$3.$4'],
    [pattern('stages\\.([0-3])\\.(\\d+)\\.gamma'), 'backbone.stages.$1.$2.gamma'],
    [pattern(`norm\\.${LEAF}`), 'backbone.norm.$1'],
  ];
}

/** The source of a file from the article's own training. */
export const ARTICLE_SOURCE = "the article's torchvision SSD";

/** The maps, most specific first. The first map whose signature matches belongs to the file. */
export const keyMaps: readonly KeyMap[] = [
  {
    // train_detection.py: torchvision's SSD. Its backbone module holds the hub's model as `backbone_model`.
    source: ARTICLE_SOURCE,
    signature: [/^backbone\.backbone_model\./],
    rules: [...official('backbone\\.backbone_model\\.'), [HEAD, OUR_HEAD]],
    alias: /^backbone\.backbone_model\.norms\.3\./,
  },
  {
    // mmdet's RTMDet on mmpretrain's ConvNeXt. Its stem and stages have the official names, except for these layers. The convolutions that
    // all maps share occur once per map.
    source: 'mmdet',
    signature: [/^backbone\.stages\.0\.0\.depthwise_conv\./, /^bbox_head\./],
    rules: [
      [
        new RegExp(`^backbone\\.stages\\.([0-3])\\.(\\d+)\\.depthwise_conv\\.${LEAF}$`),
        'backbone.stages.$1.$2.dwconv.$3',
      ],
      [
        new RegExp(`^backbone\\.stages\\.([0-3])\\.(\\d+)\\.pointwise_conv([12])\\.${LEAF}$`),
        'backbone.stages.$1.$2.pwconv$3.$4',
      ],
      [new RegExp(`^backbone\\.norm([12])\\.${LEAF}$`), 'backbone.norms.$1.$2'],
      [new RegExp(`^backbone\\.norm3\\.${LEAF}$`), 'backbone.norm.$1'],
      ...official('backbone\\.'),
      [/^neck\.(.+)$/, 'neck.$1'],
      [/^bbox_head\.(?!(?:cls|reg)_convs\.[12]\.\d+\.conv\.)(.+)$/, 'head.$1'],
    ],
    alias: /^bbox_head\.(cls|reg)_convs\.[12]\.\d+\.conv\./,
  },
  {
    source: 'dinov3-det',
    signature: [/^backbone\./],
    rules: [
      [/^(backbone|neck)\.(.+)$/, '$1.$2'],
      [HEAD, OUR_HEAD],
      [RETINANET_HEAD, 'head.$1_head.$2.$3'],
      [DENSE_HEAD, 'head.$1.$2'],
    ],
  },
  {
    // transformers/models/dinov3_convnext: the first releases had no `model.` before the stages.
    source: 'Hugging Face DINOv3ConvNext',
    signature: [/^(model\.)?stages\.0\.layers\.0\.depthwise_conv\./],
    rules: [
      [
        new RegExp(`^(?:model\\.)?stages\\.([0-3])\\.downsample_layers\\.([01])\\.${LEAF}$`),
        'backbone.downsample_layers.$1.$2.$3',
      ],
      ...(
        [
          ['depthwise_conv', 'dwconv'],
          ['layer_norm', 'norm'],
          ['pointwise_conv1', 'pwconv1'],
          ['pointwise_conv2', 'pwconv2'],
        ] as const
      ).map(
        ([theirs, ours]) =>
          [
            new RegExp(`^(?:model\\.)?stages\\.([0-3])\\.layers\\.(\\d+)\\.${theirs}\\.${LEAF}$`),
            `backbone.stages.$1.$2.${ours}.$3`,
          ] as const,
      ),
      [/^(?:model\.)?stages\.([0-3])\.layers\.(\d+)\.gamma$/, 'backbone.stages.$1.$2.gamma'],
      [new RegExp(`^layer_norm\\.${LEAF}$`), 'backbone.norm.$1'],
    ],
  },
  {
    // timm/models/convnext.py: the stem is not a stage, and the final norm belongs to the head.
    source: 'timm',
    signature: [/^stages\.0\.blocks\.0\.conv_dw\./],
    rules: [
      [new RegExp(`^stem\\.([01])\\.${LEAF}$`), 'backbone.downsample_layers.0.$1.$2'],
      [new RegExp(`^stages\\.([1-3])\\.downsample\\.([01])\\.${LEAF}$`), 'backbone.downsample_layers.$1.$2.$3'],
      [new RegExp(`^stages\\.([0-3])\\.blocks\\.(\\d+)\\.conv_dw\\.${LEAF}$`), 'backbone.stages.$1.$2.dwconv.$3'],
      [new RegExp(`^stages\\.([0-3])\\.blocks\\.(\\d+)\\.norm\\.${LEAF}$`), 'backbone.stages.$1.$2.norm.$3'],
      [
        new RegExp(`^stages\\.([0-3])\\.blocks\\.(\\d+)\\.mlp\\.fc([12])\\.${LEAF}$`),
        'backbone.stages.$1.$2.pwconv$3.$4',
      ],
      [/^stages\.([0-3])\.blocks\.(\d+)\.gamma$/, 'backbone.stages.$1.$2.gamma'],
      [new RegExp(`^head\\.norm\\.${LEAF}$`), 'backbone.norm.$1'],
    ],
  },
  {
    // facebookresearch/ConvNeXt: `head` is its classifier for ImageNet, which no rule matches.
    source: 'facebookresearch/ConvNeXt',
    signature: [/^stages\.0\.0\.dwconv\./, /^head\.weight$/],
    rules: official(''),
  },
  {
    // facebookresearch/dinov3, dinov3/models/convnext.py: it registers the final norm a second time, as the last of `norms`.
    source: 'facebookresearch/dinov3',
    signature: [/^stages\.0\.0\.dwconv\./],
    rules: official(''),
    alias: /^norms\.3\./,
  },
];

/** Tells whether a name is a norm of a pyramid's finer maps. No release has these norms. */
export function isTapNorm(ours: string): boolean {
  return /^backbone\.norms\.[12]\./.test(ours);
}

/**
 * The names of one of our tensors in the state_dict of the official ConvNeXt. There are none for a neck, a head, and the norms of a
 * pyramid's finer maps, where it has identities. The final norm has two names, and `load_state_dict` needs both.
 */
export function releasedNames(ours: string): string[] {
  const [, name] = /^backbone\.(.+)$/.exec(ours) ?? [];
  if (name === undefined || isTapNorm(ours)) return [];
  return name.startsWith('norm.') ? [name, `norms.3.${name.slice('norm.'.length)}`] : [name];
}

/** The names of one of our tensors in the state_dict of the article's model. */
export function articleNames(ours: string): string[] {
  return HEAD.test(ours) ? [ours] : releasedNames(ours).map((name) => `backbone.backbone_model.${name}`);
}

/** Finds the map for a file with these names. The result is undefined for any other file. */
export function findKeyMap(names: readonly string[]): KeyMap | undefined {
  return keyMaps.find(({ signature }) => signature.every((pattern) => names.some((name) => pattern.test(name))));
}

/** Our name of a tensor. The result is undefined if a detector does not need the tensor. */
export function mapKey({ rules }: KeyMap, name: string): string | undefined {
  const rule = rules.find(([pattern]) => pattern.test(name));
  return rule && name.replace(rule[0], rule[1]);
}

/** The channels of the stem and the blocks of the third stage. They identify DINOv3's sizes. */
const SIZES: Record<string, readonly [channels: number, blocks: number]> = {
  convnext_test: [24, 2],
  convnext_tiny: [96, 9],
  convnext_small: [96, 27],
  convnext_base: [128, 27],
  convnext_large: [192, 27],
};

/** Identifies the backbone of tensors with our names by its size. The result is undefined for an unknown backbone. */
export function backboneOf(tensors: readonly TensorInfo[]): string | undefined {
  const channels = tensors.find(({ name }) => name === 'backbone.downsample_layers.0.0.weight')?.shape[0];
  const blocks = tensors.filter(({ name }) => /^backbone\.stages\.2\.\d+\.gamma$/.test(name)).length;
  return Object.keys(SIZES).find((name) => SIZES[name]![0] === channels && SIZES[name]![1] === blocks);
}
