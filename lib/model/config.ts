import { checkInteger, checkKeys, checkNumbers, checkOneOf, checkPositive, wrongArgument } from '../base/check.ts';
import type { Size } from '../boxes/box.ts';
import type { BoxOptions, DefaultBoxOptions } from './default-box-options.ts';
import { checkDefaultBoxes, checkOrderedBoxes, countMaps, isAnchors } from './default-box-options.ts';
import { type HeadName, headNames, retinaNet } from './detection-head.ts';
import {
  type Features,
  type Fusion,
  featuresNames,
  fusionNames,
  pyramidDefaultBoxes,
  pyramidMaps,
  retinaNetMaps,
} from './feature-pyramid.ts';
import { type AssignerName, assignerNames, checkLoss, type LossOptions, ssdLoss } from './loss-options.ts';
import { checkPostprocess, type NmsName, nmsNames, type PostprocessOptions } from './postprocess-options.ts';

/** The native backbones: DINOv3's four ConvNeXt sizes, and a small one for tests and demos. */
export const backboneNames = [
  'convnext_test',
  'convnext_tiny',
  'convnext_small',
  'convnext_base',
  'convnext_large',
] as const;
export type BackboneName = (typeof backboneNames)[number];

/** The models that have a name: the article's, with one map of stride 32, and the same on a feature pyramid. */
export const presetNames = ['article', 'best'] as const;
export type PresetName = (typeof presetNames)[number];
export const defaultPreset: PresetName = 'best';

/** Everything that, with the weights, makes a model: plain JSON, kept in every checkpoint. */
export interface DetectorConfig {
  preset: PresetName;
  backbone: BackboneName | 'torchscript';
  /** Every image is resized to this, without keeping its aspect ratio. */
  imageSize: Size;
  /** Subtracted from the red, green and blue channel, for pixels from 0 to 1; then divided by `std`. */
  mean: number[];
  std: number[];
  /** Default `ssd`. */
  head?: HeadName;
  /** What the head looks at; default `last`: the maps that the backbone gives. */
  features?: Features;
  /** Of a pyramid's maps; default `none`. */
  fusion?: Fusion;
  /** One list of aspect ratios for each map of a pyramid; there may be more for `last`. Of the head `retinanet`, its anchors. */
  defaultBoxes: BoxOptions;
  /** What an evaluation uses; `detect` may ask for less. */
  postprocess: PostprocessOptions;
  /** What it is trained on, and by `classification` how scores are made; left out: as torchvision's SSD. */
  loss?: LossOptions;
  /** Left out: SSD's matcher. */
  assigner?: AssignerName;
}

/** What may be chosen instead of a preset's. */
export interface PresetChoices {
  /** What the detector is trained on; default: as torchvision's SSD (`best`: with `backgroundNegatives`), or its RetinaNet. */
  loss?: Partial<LossOptions>;
  /** What finds the default boxes of an object in training; default: the head's, `ssd` or `retinanet`. */
  assigner?: AssignerName;
  /** How detections that overlap become one; default `plain`. */
  nms?: NmsName;
}

/** DINOv3 works on patches of 32 pixels; above 4096 one image's activations pass any machine's memory. */
const SIDE = { multiple: 32, min: 64, max: 4096 };

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
  postprocess: { scoreThreshold: 0.01, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 },
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
export type ModelChoices = Partial<Pick<DetectorConfig, 'head' | 'defaultBoxes' | 'features' | 'fusion'>>;

/**
 * The configuration of a preset, with what is chosen beside it. `best` is the article's model on a feature pyramid, and learns from
 * images without objects too. Default boxes are the article's, or a pyramid's for as many maps as a ConvNeXt's has. The head
 * `retinanet` brings torchvision's constants with it.
 */
export function presetConfig(
  preset: PresetName,
  backbone: BackboneName | 'torchscript',
  imageSize: Size,
  choices: ModelChoices = {},
): DetectorConfig {
  checkOneOf('preset', preset, presetNames);
  const size = checkImageSize('imageSize', imageSize);
  const head = checkOneOf('head', choices.head ?? 'ssd', headNames);
  const { features, fusion, defaultBoxes, ...own } = ofHead(head, preset, size, choices);
  const config = {
    ...structuredClone(article),
    ...own,
    preset,
    backbone,
    imageSize: size,
    ...(features !== 'last' && { features }),
    ...(fusion !== 'none' && { fusion }),
    defaultBoxes: checkOrderedBoxes('defaultBoxes', choices.defaultBoxes ?? defaultBoxes),
  };
  checkTogether('', config);
  return config;
}

/** What a head stands on and comes with. */
function ofHead(head: HeadName, preset: PresetName, size: Size, choices: ModelChoices) {
  const [usualFeatures, usualFusion] =
    head === 'retinanet' ? ([retinaNet.features, retinaNet.fusion] as const) : ([usualOf(preset), 'none'] as const);
  const features = checkOneOf('features', choices.features ?? usualFeatures, featuresNames);
  const fusion = checkOneOf('fusion', choices.fusion ?? usualFusion, fusionNames);
  if (head === 'retinanet') return { ...structuredClone(retinaNet), head, features, fusion };
  const defaultBoxes = features === 'pyramid' ? pyramidDefaultBoxes(pyramidMaps(size)) : article.defaultBoxes;
  const loss = { ...ssdLoss, backgroundNegatives: true };
  return { features, fusion, defaultBoxes, ...(preset === 'best' && { loss }) };
}

function usualOf(preset: PresetName): Features {
  return preset === 'best' ? 'pyramid' : 'last';
}

/** The configuration with what is chosen instead of its own; throws `TypeError` or `RangeError` naming the key. */
export function withChoices(config: DetectorConfig, { loss, assigner, nms }: PresetChoices): DetectorConfig {
  const chosen = {
    ...config,
    ...(nms !== undefined && { postprocess: { ...config.postprocess, nms: checkOneOf('nms', nms, nmsNames) } }),
    ...(loss !== undefined && { loss: checkLoss('loss', loss, config.loss) }),
    ...(assigner !== undefined && { assigner: checkOneOf('assigner', assigner, assignerNames) }),
  };
  checkTogether('', chosen);
  return chosen;
}

/** The feature maps, in cells, that the default boxes of a model lie on; those of a TorchScript backbone may be others. */
export function presetMaps({
  imageSize,
  features,
  head,
}: Pick<DetectorConfig, 'imageSize' | 'features' | 'head'>): Size[] {
  if (head === 'retinanet') return retinaNetMaps(imageSize);
  if (features === 'pyramid') return pyramidMaps(imageSize);
  return [{ width: imageSize.width / SIDE.multiple, height: imageSize.height / SIDE.multiple }];
}

/** Width and height: multiples of 32 from 64 to 4096. */
export function checkImageSize(name: string, value: unknown): Size {
  const size = checkKeys(name, value, ['width', 'height']);
  const side = (key: 'width' | 'height') => {
    const pixels = checkInteger(`${name}.${key}`, size[key], SIDE.min, SIDE.max);
    if (pixels % SIDE.multiple !== 0) {
      throw new RangeError(wrongArgument(`${name}.${key}`, `multiple of ${SIDE.multiple}`, pixels));
    }
    return pixels;
  };
  return { width: side('width'), height: side('height') };
}

/** Checks a configuration that was read from a file; throws `TypeError` or `RangeError` naming the key. */
export function checkDetectorConfig(value: unknown): DetectorConfig {
  const optional = ['head', 'features', 'fusion', 'loss', 'assigner'];
  const keys = ['preset', 'backbone', 'imageSize', 'mean', 'std', 'defaultBoxes', 'postprocess', ...optional];
  const config = checkKeys('model', value, keys);
  const checked: DetectorConfig = {
    preset: checkOneOf('model.preset', config.preset, presetNames),
    backbone: checkOneOf('model.backbone', config.backbone, [...backboneNames, 'torchscript']),
    imageSize: checkImageSize('model.imageSize', config.imageSize),
    mean: checkNumbers('model.mean', config.mean, 3, 3),
    std: checkNumbers('model.std', config.std, 3, 3, checkPositive),
    ...(config.head !== undefined && { head: checkOneOf('model.head', config.head, headNames) }),
    ...(config.features !== undefined && {
      features: checkOneOf('model.features', config.features, featuresNames),
    }),
    ...(config.fusion !== undefined && { fusion: checkOneOf('model.fusion', config.fusion, fusionNames) }),
    defaultBoxes: checkDefaultBoxes('model.defaultBoxes', config.defaultBoxes),
    postprocess: checkPostprocess('model.postprocess', config.postprocess),
    ...(config.loss !== undefined && { loss: checkLoss('model.loss', config.loss) }),
    ...(config.assigner !== undefined && { assigner: checkOneOf('model.assigner', config.assigner, assignerNames) }),
  };
  checkTogether('model.', checked);
  return checked;
}

/** @throws RangeError for what does not go together, with a remedy */
function checkTogether(prefix: string, config: DetectorConfig): void {
  const { head = 'ssd', features = 'last', fusion = 'none', defaultBoxes, loss } = config;
  const refuse = (key: string, expected: string, found: unknown, remedy: string) => {
    throw new RangeError(`${wrongArgument(`${prefix}${key}`, expected, found)}. ${remedy}`);
  };
  if (head === 'retinanet') {
    const why = 'with the head retinanet, which serves all maps of a fused pyramid alike,';
    if (features !== 'pyramid') refuse('features', `pyramid ${why}`, features, 'Leave it out, or set head to ssd');
    if (fusion !== 'fpn') refuse('fusion', `fpn ${why}`, fusion, 'Leave it out, or set head to ssd');
    if (loss?.classification !== 'focal') {
      const sigmoid = 'focal with the head retinanet, whose scores are sigmoids,';
      refuse('loss.classification', sigmoid, loss?.classification, 'Leave it out, or set head to ssd');
    }
  } else if (features === 'last' && fusion !== 'none') {
    throw new RangeError(
      `Expected none for ${prefix}fusion but received "${fusion}": a single map has none to be fused with. Set ${prefix}features to pyramid`,
    );
  }
  if (isAnchors(defaultBoxes) !== (head === 'retinanet')) {
    const [expected, found] = isAnchors(defaultBoxes)
      ? ['aspectRatios and scales', 'sizes']
      : ['sizes and aspectRatios', 'scales'];
    throw new RangeError(
      `Expected ${expected} in ${prefix}defaultBoxes for the head ${head} but received ${found}. Leave them out (DEFAULT_BOXES of a ` +
        `data set file), or have them proposed for this head: dinov3-det analyze --head ${head}`,
    );
  }
  if (features === 'pyramid') checkMaps(prefix, config);
}

/** Of a pyramid every map needs boxes of its own. */
function checkMaps(prefix: string, config: DetectorConfig): void {
  const { backbone, imageSize, defaultBoxes, head = 'ssd' } = config;
  const [maps, lists] = [presetMaps(config).length, countMaps(defaultBoxes)];
  if (backbone === 'torchscript' || lists === maps) return; // of a program's maps only the addon can tell
  const [key, flag] = isAnchors(defaultBoxes) ? ['sizes', `--head ${head}`] : ['aspectRatios', '--preset best'];
  throw new RangeError(
    `Expected ${maps} lists for ${prefix}defaultBoxes.${key}, one for each map of the pyramid at ${imageSize.width}x${imageSize.height}, ` +
      `but received ${lists}. Leave them out (DEFAULT_BOXES of a data set file), or have them proposed for these maps: dinov3-det analyze ${flag}`,
  );
}
