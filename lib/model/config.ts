import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkNumbers,
  checkOneOf,
  checkPositive,
  wrongArgument,
} from '../base/check.ts';
import { choice } from '../base/kinds.ts';
import type { Size } from '../boxes/box.ts';
import { type ResizeName, resizeNames } from '../boxes/letterbox.ts';
import type { BoxOptions, DefaultBoxOptions } from './default-box-options.ts';
import {
  boxKeys,
  boxKindOf,
  checkDefaultBoxes,
  checkOrderedBoxes,
  countMaps,
  isPoints,
} from './default-box-options.ts';
import { checkHeadWidth, type HeadName, headNames, headOf, heads } from './detection-head.ts';
import { type Features, type Fusion, featuresNames, fusionNames } from './feature-pyramid.ts';
import { assignerNames, type LearningOptions, readEarlierLoss, type Scores, scoresOfLoss } from './loss-options.ts';
import { checkPostprocess, type NmsName, nmsNames, type PostprocessOptions } from './postprocess-options.ts';
import { checkScores, chosenScores, scoresOf } from './scores.ts';

/** The native backbones: DINOv3's four ConvNeXt sizes, and a small one for tests and demos. */
export const backboneNames = [
  'convnext_test',
  'convnext_tiny',
  'convnext_small',
  'convnext_base',
  'convnext_large',
] as const;
export type BackboneName = (typeof backboneNames)[number];

/** The named models: the article's with one map of stride 32, SSD on a feature pyramid, and RTMDet's dense head. */
export const presetNames = ['article', 'ssd', 'dense'] as const;
export type PresetName = (typeof presetNames)[number];
/** Earlier names, which calls, command lines and files still have, and what they are called now. */
export const presetAliases = { best: 'ssd' } as const satisfies Record<string, PresetName>;
export const defaultPreset: PresetName = 'ssd';

/** The preset of a name, or of an earlier one. @throws {TypeError|RangeError} */
export const checkPreset = choice(presetNames, presetAliases).check;

/** The configuration of a model as plain JSON. Together with the weights it is the whole model. Every checkpoint contains it. */
export interface DetectorConfig {
  preset: PresetName;
  backbone: BackboneName | 'torchscript';
  /** The size in pixels that every image is resized to, as `resize` says. */
  imageSize: Size;
  /**
   * How an image is resized. `stretch` fills the size; `letterbox` keeps the image's proportions.
   * @default 'stretch'
   */
  resize?: ResizeName;
  /** The means of the red, green and blue channel, for pixels from 0 to 1. They are subtracted before the division by `std`. */
  mean: number[];
  std: number[];
  /**
   * The detection head.
   * @default 'ssd'
   */
  head?: HeadName;
  /**
   * The channels of a dense head's maps.
   * @default the channels of the backbone's finest map
   */
  headWidth?: number;
  /**
   * Whether a dense head has a second branch, which gives each object one box, and detects with it, without NMS.
   * @default false
   */
  endToEnd?: boolean;
  /**
   * The maps that the head uses. `last`: the maps that the backbone gives.
   * @default 'last'
   */
  features?: Features;
  /**
   * The fusion of a pyramid's maps.
   * @default 'none'
   */
  fusion?: Fusion;
  /**
   * The default boxes: one list of aspect ratios per map of a pyramid, and possibly more for `last`. The head `retinanet` has anchors,
   * `dense` has points.
   */
  defaultBoxes: BoxOptions;
  /** The limits of an evaluation. `scoreThreshold` is low, because average precision weighs every detection. `detect` shows fewer. */
  postprocess: PostprocessOptions;
  /**
   * The meaning of scores.
   * @default that of the head: `softmax` for `ssd`, `sigmoid` for the others
   */
  scores?: Scores;
}

/** DINOv3 works on patches of 32 pixels; above 4096 one image's activations pass any machine's memory. */
export const imageSides = { multiple: 32, min: 64, max: 4096 };

/** The model of the article: torchvision's SSD on the backbone's last map. */
const article: Omit<DetectorConfig, 'backbone' | 'imageSize'> & { defaultBoxes: DefaultBoxOptions } = {
  preset: 'article',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  defaultBoxes: {
    aspectRatios: [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    scales: defaultBoxScales(6, 0.15, 0.9),
    steps: [],
    clip: true,
  },
  postprocess: heads.ssd.postprocess,
};

/**
 * torchvision's DefaultBoxGenerator (SSD, section 2.2): one scale per map, evenly from `minRatio` to `maxRatio` of the image's side,
 * and 1 at the end; a single map gets `[minRatio, maxRatio]`.
 */
export function defaultBoxScales(maps: number, minRatio: number, maxRatio: number): number[] {
  if (maps === 1) return [minRatio, maxRatio];
  const scales = Array.from({ length: maps }, (_, k) => minRatio + ((maxRatio - minRatio) * k) / (maps - 1));
  return [...scales, 1];
}

/** What may be chosen beside a preset. */
export interface ModelChoices {
  resize?: ResizeName;
  head?: HeadName;
  headWidth?: number;
  endToEnd?: boolean;
  features?: Features;
  fusion?: Fusion;
  defaultBoxes?: BoxOptions;
  scores?: Scores;
  /** What a training is to learn from: its class loss says what scores mean. */
  loss?: LearningOptions['loss'];
  nms?: NmsName;
}

/**
 * The configuration of a preset, with what is chosen beside it. `ssd` is the article's model on a feature pyramid; `dense` has the head
 * of that name. Default boxes are the article's, or a pyramid's for as many maps as a ConvNeXt's has. A head brings its constants with it.
 * @throws {TypeError|RangeError} naming the choice
 */
export function presetConfig(
  presetName: PresetName | keyof typeof presetAliases,
  backbone: BackboneName | 'torchscript',
  imageSize: Size,
  choices: ModelChoices = {},
): DetectorConfig {
  const preset = checkPreset('preset', presetName);
  const size = checkImageSize('imageSize', imageSize);
  const head = checkOneOf('head', choices.head ?? headOfPreset(preset), headNames);
  const { needs, postprocess } = headOf(head);
  const [ownFeatures, ownFusion] = needs ? [needs.features, needs.fusion] : [featuresOf(preset), 'none' as const];
  const features = checkOneOf('features', choices.features ?? ownFeatures, featuresNames);
  const fusion = checkOneOf('fusion', choices.fusion ?? ownFusion, fusionNames);
  const [scores, nms] = [chosenScores(head, choices), choices.nms];
  const { headWidth, endToEnd = false } = choices;
  const resize = checkOneOf('resize', choices.resize ?? 'stretch', resizeNames);
  const config = {
    ...structuredClone(article),
    preset,
    backbone,
    imageSize: size,
    ...(resize !== 'stretch' && { resize }),
    ...(head !== 'ssd' && { head }),
    ...(headWidth !== undefined && { headWidth: checkHeadWidth('headWidth', headWidth) }),
    ...(checkBoolean('endToEnd', endToEnd) && { endToEnd }),
    ...(features !== 'last' && { features }),
    ...(fusion !== 'none' && { fusion }),
    ...(scores !== undefined && { scores }),
    defaultBoxes: checkOrderedBoxes('defaultBoxes', choices.defaultBoxes ?? boxesOf(head, features, size)),
    postprocess: { ...postprocess, ...(nms !== undefined && { nms: checkOneOf('nms', nms, nmsNames) }) },
  };
  checkTogether('', config);
  return config;
}

/** The head of a preset, where none is chosen. */
export function headOfPreset(preset: PresetName): HeadName {
  return preset === 'dense' ? 'dense' : 'ssd';
}

function featuresOf(preset: PresetName): Features {
  return preset === 'article' ? 'last' : 'pyramid';
}

function boxesOf(name: HeadName, features: Features, size: Size): BoxOptions {
  const head = headOf(name);
  return features === 'pyramid' || head.needs ? head.pyramidBoxes(head.pyramidMaps(size)) : article.defaultBoxes;
}

/** The feature maps, in cells, that the default boxes of a model lie on; those of a TorchScript backbone may be others. */
export function presetMaps({
  imageSize,
  features,
  head,
}: Pick<DetectorConfig, 'imageSize' | 'features' | 'head'>): Size[] {
  if (features === 'pyramid') return headOf(head).pyramidMaps(imageSize);
  return [{ width: imageSize.width / imageSides.multiple, height: imageSize.height / imageSides.multiple }];
}

/** Width and height: multiples of 32 from 64 to 4096. */
export function checkImageSize(name: string, value: unknown): Size {
  const size = checkKeys(name, value, ['width', 'height']);
  const side = (key: 'width' | 'height') => {
    const pixels = checkInteger(`${name}.${key}`, size[key], imageSides.min, imageSides.max);
    if (pixels % imageSides.multiple !== 0) {
      throw new RangeError(wrongArgument(`${name}.${key}`, `multiple of ${imageSides.multiple}`, pixels));
    }
    return pixels;
  };
  return { width: side('width'), height: side('height') };
}

/**
 * Checks a configuration that was read from a file, of an earlier version too: that had the loss and the assigner of its training in it.
 * @throws {TypeError|RangeError} naming the key
 */
export function checkDetectorConfig(value: unknown): DetectorConfig {
  const optional = ['resize', 'head', 'headWidth', 'endToEnd', 'features', 'fusion', 'scores', 'loss', 'assigner'];
  const keys = ['preset', 'backbone', 'imageSize', 'mean', 'std', 'defaultBoxes', 'postprocess', ...optional];
  const config = checkKeys('model', value, keys);
  const head = checkOneOf('model.head', config.head ?? 'ssd', headNames);
  const resize = checkOneOf('model.resize', config.resize ?? 'stretch', resizeNames);
  const { loss } = readLearning(config);
  const scores = config.scores ?? (loss?.classification && scoresOfLoss(loss.classification));
  const checked: DetectorConfig = {
    preset: checkPreset('model.preset', config.preset),
    backbone: checkOneOf('model.backbone', config.backbone, [...backboneNames, 'torchscript']),
    imageSize: checkImageSize('model.imageSize', config.imageSize),
    ...(resize !== 'stretch' && { resize }),
    mean: checkNumbers('model.mean', config.mean, 3, 3),
    std: checkNumbers('model.std', config.std, 3, 3, checkPositive),
    ...(head !== 'ssd' && { head }),
    ...(config.headWidth !== undefined && { headWidth: checkHeadWidth('model.headWidth', config.headWidth) }),
    ...(checkBoolean('model.endToEnd', config.endToEnd ?? false) && { endToEnd: true }),
    ...(config.features !== undefined && {
      features: checkOneOf('model.features', config.features, featuresNames),
    }),
    ...(config.fusion !== undefined && { fusion: checkOneOf('model.fusion', config.fusion, fusionNames) }),
    defaultBoxes: checkDefaultBoxes('model.defaultBoxes', config.defaultBoxes),
    postprocess: checkPostprocess('model.postprocess', config.postprocess),
  };
  if (scores !== undefined && checkScores('model.scores', scores, head) !== scoresOf({ head }))
    checked.scores = scores as Scores;
  checkTogether('model.', checked);
  return checked;
}

/**
 * What the training of an earlier version learned from, which the configuration of its model says; nothing for those of today.
 * @throws {TypeError|RangeError} naming the key
 */
export function readLearning(config: Record<string, unknown>): LearningOptions {
  return {
    ...(config.loss !== undefined && readEarlierLoss('model.loss', config.loss)),
    ...(config.assigner !== undefined && { assigner: checkOneOf('model.assigner', config.assigner, assignerNames) }),
  };
}

/** @throws RangeError for what does not go together, with a remedy */
function checkTogether(prefix: string, config: DetectorConfig): void {
  const { preset, head = 'ssd', headWidth, features = 'last', fusion = 'none', defaultBoxes } = config;
  const { needs, neck, boxes } = headOf(head);
  if (preset === 'dense' && head !== 'dense') {
    throw new RangeError(
      `${wrongArgument(`${prefix}head`, 'dense with the preset dense', head)}. Leave it out, or set ${prefix}preset to ssd`,
    );
  }
  if (headWidth !== undefined && neck !== 'DenseNeck') {
    const expected = `no ${prefix}headWidth with the head ${head}`;
    throw new RangeError(
      `${wrongArgument(`${prefix}headWidth`, expected, headWidth)}. Leave it out, or set ${prefix}head to dense`,
    );
  }
  if (config.endToEnd) checkEndToEnd(prefix, config);
  if (needs) {
    for (const [key, found] of [
      ['features', features],
      ['fusion', fusion],
    ] as const) {
      const expected = `${needs[key]} with the head ${head}, ${needs.why},`;
      if (found === needs[key]) continue;
      throw new RangeError(`${wrongArgument(`${prefix}${key}`, expected, found)}. Leave it out, or set head to ssd`);
    }
  } else if (features === 'last' && fusion !== 'none') {
    throw new RangeError(
      `Expected none for ${prefix}fusion but received "${fusion}": a single map has none to be fused with. Set ${prefix}features to pyramid`,
    );
  }
  if (boxKindOf(defaultBoxes) !== boxes) throw otherBoxes(prefix, head, defaultBoxes);
  if (features === 'pyramid') checkMaps(prefix, config);
}

/** A branch without NMS is the head dense's alone. */
function checkEndToEnd(prefix: string, { head = 'ssd', postprocess: { nms = 'plain' } }: DetectorConfig): void {
  if (headOf(head).neck !== 'DenseNeck') {
    const expected = `false with the head ${head}`;
    throw new RangeError(
      `${wrongArgument(`${prefix}endToEnd`, expected, true)}. Leave it out, or set ${prefix}head to dense`,
    );
  }
  if (nms === 'plain') return;
  throw new RangeError(
    `${wrongArgument(`${prefix}nms`, `no NMS with ${prefix}endToEnd, whose boxes need none,`, nms)}. Leave one of them out`,
  );
}

const toldByKeys = { 'default boxes': 'aspectRatios and scales', anchors: 'sizes and aspectRatios', points: 'strides' };

function otherBoxes(prefix: string, head: HeadName, found: BoxOptions): RangeError {
  const { boxes } = headOf(head);
  const remedy = boxes === 'points' ? '' : `, or have them proposed for this head: dinov3-det analyze --head ${head}`;
  const [telling] = boxKindOf(found) === 'default boxes' ? ['scales'] : boxKeys[boxKindOf(found)];
  return new RangeError(
    `Expected ${toldByKeys[boxes]} in ${prefix}defaultBoxes for the head ${head} but received ${telling}. Leave them out (DEFAULT_BOXES ` +
      `of a data set file)${remedy}`,
  );
}

/** Of a pyramid every map needs boxes of its own. */
function checkMaps(prefix: string, config: DetectorConfig): void {
  const { backbone, imageSize, defaultBoxes, head = 'ssd' } = config;
  if (backbone === 'torchscript') return; // of a program's maps only the addon can tell
  if (isPoints(defaultBoxes)) {
    checkStrides(prefix, defaultBoxes, headOf(head).pyramidBoxes([]));
    return;
  }
  const [maps, lists] = [presetMaps(config).length, countMaps(defaultBoxes)];
  if (lists === maps) return;
  const [key, flag] = 'sizes' in defaultBoxes ? ['sizes', `--head ${head}`] : ['aspectRatios', '--preset ssd'];
  throw new RangeError(
    `Expected ${maps} lists for ${prefix}defaultBoxes.${key}, one for each map of the pyramid at ${imageSize.width}x${imageSize.height}, ` +
      `but received ${lists}. Leave them out (DEFAULT_BOXES of a data set file), or have them proposed for these maps: dinov3-det analyze ${flag}`,
  );
}

/** Points lie in the corners of the maps' own cells. */
function checkStrides(prefix: string, found: BoxOptions, expected: BoxOptions): void {
  const [text, strides] = [found, expected].map((boxes) => JSON.stringify('strides' in boxes && boxes.strides));
  if (text === strides) return;
  throw new RangeError(
    `Expected ${strides} for ${prefix}defaultBoxes.strides, those of the backbone's maps, but received ${text}. Leave them out`,
  );
}
