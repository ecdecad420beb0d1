import type { DefaultBoxOptions, PostprocessOptions, Size } from './binding.ts';
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  wrongArgument,
} from './check.ts';
import {
  type Features,
  type Fusion,
  featuresNames,
  fusionNames,
  pyramidDefaultBoxes,
  pyramidMaps,
} from './feature-pyramid.ts';
import { type AssignerName, assignerNames, checkLoss, type LossOptions } from './loss-options.ts';

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

/**
 * `plain`; `diou`: by distance IoU (Zheng et al. 2020); `weighted`: plain, and a kept box becomes the average, by score, of itself and
 * those that it suppressed.
 */
export const nmsNames = ['plain', 'diou', 'weighted'] as const;
export type NmsName = (typeof nmsNames)[number];

/** Everything that, with the weights, makes a model: plain JSON, kept in every checkpoint. */
export interface DetectorConfig {
  preset: PresetName;
  backbone: BackboneName | 'torchscript';
  /** Every picture is resized to this, without keeping its aspect ratio. */
  imageSize: Size;
  /** Subtracted from the red, green and blue channel, for pixels from 0 to 1; then divided by `std`. */
  mean: number[];
  std: number[];
  /** What the head looks at; default `last`: the maps that the backbone gives. */
  features?: Features;
  /** Of a pyramid's maps; default `none`. */
  fusion?: Fusion;
  /** One list of aspect ratios for each map of a pyramid; there may be more for `last`. */
  defaultBoxes: DefaultBoxOptions;
  /** What an evaluation uses; `detect` may ask for less. */
  postprocess: PostprocessOptions;
  /** What it is trained on, and by `classification` how scores are made; left out: as torchvision's SSD. */
  loss?: LossOptions;
  /** Left out: SSD's matcher. */
  assigner?: AssignerName;
}

/** What may be chosen in the place of a preset's. */
export interface PresetChoices {
  /** What the detector is trained on; the presets' is that of torchvision's SSD. */
  loss?: Partial<LossOptions>;
  /** What finds the default boxes of an object in training; default `ssd`. */
  assigner?: AssignerName;
  /** How detections that overlap become one; default `plain`. */
  nms?: NmsName;
}

/** DINOv3 works on patches of 32 pixels; above 4096 one picture's activations pass any machine's memory. */
const SIDE = { multiple: 32, min: 64, max: 4096 };

/** The model of the article: torchvision's SSD on the backbone's last map. */
const article: Omit<DetectorConfig, 'backbone' | 'imageSize'> = {
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
export type ModelChoices = Partial<Pick<DetectorConfig, 'defaultBoxes' | 'features' | 'fusion'>>;

/**
 * The configuration of a preset, with what is chosen beside it. `best` is the article's model on a feature pyramid. Default boxes are
 * the article's, or a pyramid's for as many maps as a ConvNeXt's has.
 */
export function presetConfig(
  preset: PresetName,
  backbone: BackboneName | 'torchscript',
  imageSize: Size,
  { features = preset === 'best' ? 'pyramid' : 'last', fusion = 'none', defaultBoxes }: ModelChoices = {},
): DetectorConfig {
  checkOneOf('preset', preset, presetNames);
  const size = checkImageSize('imageSize', imageSize);
  const pyramid = checkOneOf('features', features, featuresNames) === 'pyramid';
  const usual = pyramid ? pyramidDefaultBoxes(pyramidMaps(size)) : article.defaultBoxes;
  const config = {
    ...structuredClone(article),
    preset,
    backbone,
    imageSize: size,
    ...(pyramid && { features }),
    ...(fusion !== 'none' && { fusion: checkOneOf('fusion', fusion, fusionNames) }),
    defaultBoxes: checkDefaultBoxes('defaultBoxes', defaultBoxes ?? usual),
  };
  checkPyramid('', config);
  return config;
}

/** The configuration with what is chosen in the place of its own; throws `TypeError` or `RangeError` naming the key. */
export function withChoices(config: DetectorConfig, { loss, assigner, nms }: PresetChoices): DetectorConfig {
  return {
    ...config,
    ...(nms !== undefined && { postprocess: { ...config.postprocess, nms: checkOneOf('nms', nms, nmsNames) } }),
    ...(loss !== undefined && { loss: checkLoss('loss', loss) }),
    ...(assigner !== undefined && { assigner: checkOneOf('assigner', assigner, assignerNames) }),
  };
}

/** The feature maps, in cells, that the default boxes of a model lie on; those of a TorchScript backbone may be others. */
export function presetMaps({ imageSize, features }: Pick<DetectorConfig, 'imageSize' | 'features'>): Size[] {
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
  const optional = ['features', 'fusion', 'loss', 'assigner'];
  const keys = ['preset', 'backbone', 'imageSize', 'mean', 'std', 'defaultBoxes', 'postprocess', ...optional];
  const config = checkKeys('model', value, keys);
  const checked: DetectorConfig = {
    preset: checkOneOf('model.preset', config.preset, presetNames),
    backbone: checkOneOf('model.backbone', config.backbone, [...backboneNames, 'torchscript']),
    imageSize: checkImageSize('model.imageSize', config.imageSize),
    mean: checkNumbers('model.mean', config.mean, 3, 3),
    std: checkNumbers('model.std', config.std, 3, 3, checkPositive),
    ...(config.features !== undefined && {
      features: checkOneOf('model.features', config.features, featuresNames),
    }),
    ...(config.fusion !== undefined && { fusion: checkOneOf('model.fusion', config.fusion, fusionNames) }),
    defaultBoxes: checkDefaultBoxes('model.defaultBoxes', config.defaultBoxes),
    postprocess: checkPostprocess('model.postprocess', config.postprocess),
    ...(config.loss !== undefined && { loss: checkLoss('model.loss', config.loss) }),
    ...(config.assigner !== undefined && { assigner: checkOneOf('model.assigner', config.assigner, assignerNames) }),
  };
  checkPyramid('model.', checked);
  return checked;
}

/** @throws RangeError for what does not go together, with a remedy */
function checkPyramid(prefix: string, config: DetectorConfig): void {
  const { features, fusion = 'none', imageSize, backbone, defaultBoxes } = config;
  if (features !== 'pyramid') {
    if (fusion === 'none') return;
    throw new RangeError(
      `Expected none for ${prefix}fusion but received "${fusion}": a single map has none to be fused with. Set ${prefix}features to pyramid`,
    );
  }
  const [maps, lists] = [presetMaps(config).length, defaultBoxes.aspectRatios.length];
  if (backbone === 'torchscript' || lists === maps) return; // of a program's maps only the addon can tell
  throw new RangeError(
    `Expected ${maps} lists for ${prefix}defaultBoxes.aspectRatios, one for each map of the pyramid at ${imageSize.width}x${imageSize.height}, ` +
      `but received ${lists}. Leave them out (DEFAULT_BOXES of a data set file), or have them proposed for these maps: dinov3-det analyze --preset best`,
  );
}

/** Every field of a postprocess configuration. */
function checkPostprocess(name: string, value: unknown): PostprocessOptions {
  const keys = ['scoreThreshold', 'nmsThreshold', 'topkCandidates', 'maxDetections', 'nms'];
  const options = checkKeys(name, value, keys);
  return {
    scoreThreshold: checkNumber(`${name}.scoreThreshold`, options.scoreThreshold, 0, 1),
    nmsThreshold: checkNumber(`${name}.nmsThreshold`, options.nmsThreshold, 0, 1),
    topkCandidates: checkInteger(`${name}.topkCandidates`, options.topkCandidates, 1, 1e6),
    maxDetections: checkInteger(`${name}.maxDetections`, options.maxDetections, 1, 1e6),
    ...(options.nms !== undefined && { nms: checkOneOf(`${name}.nms`, options.nms, nmsNames) }),
  };
}

/** Every field of the default boxes' options, for any number of maps up to 16. */
export function checkDefaultBoxes(name: string, value: unknown): DefaultBoxOptions {
  const boxes = checkKeys(name, value, ['aspectRatios', 'scales', 'steps', 'clip']);
  const lists = checkArray(`${name}.aspectRatios`, boxes.aspectRatios, 1, 16);
  return {
    aspectRatios: lists.map((list, k) => checkNumbers(`${name}.aspectRatios[${k}]`, list, 0, 16, checkPositive)),
    scales: checkNumbers(`${name}.scales`, boxes.scales, lists.length + 1, lists.length + 1, checkPositive),
    steps: checkSteps(`${name}.steps`, boxes.steps, lists.length),
    clip: checkBoolean(`${name}.clip`, boxes.clip),
  };
}

function checkSteps(name: string, value: unknown, maps: number): number[] {
  const steps = checkNumbers(name, value, 0, maps, checkPositive);
  if (steps.length !== 0 && steps.length !== maps) {
    throw new RangeError(wrongArgument(name, `no step or one for each of ${maps} maps`, value));
  }
  return steps;
}

function checkArray(name: string, value: unknown, min: number, max: number): unknown[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, 'array', value));
  checkInteger(`${name}.length`, value.length, min, max);
  return value;
}

type CheckNumber = (name: string, value: unknown) => number;
const checkFinite: CheckNumber = (name, value) => checkNumber(name, value, Number.NEGATIVE_INFINITY);

function checkNumbers(name: string, value: unknown, min: number, max: number, check = checkFinite): number[] {
  return checkArray(name, value, min, max).map((element, index) => check(`${name}[${index}]`, element));
}
