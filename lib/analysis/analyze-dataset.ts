import { checkFunction, checkInteger, checkKeys, wrongArgument } from '../base/check.ts';
import type { Size } from '../boxes/box.ts';
import type { DatasetIssue } from '../data/dataset-issue.ts';
import { VocDataset } from '../data/voc-dataset.ts';
import { defaultPreset, type PresetName, presetConfig, presetMaps } from '../model/config.ts';
import type { BoxOptions } from '../model/default-box-options.ts';
import { countMaps } from '../model/default-box-options.ts';
import type { HeadName } from '../model/detection-head.ts';
import type { Coverage } from './default-boxes/coverage.ts';
import type { Shape } from './default-boxes/k-means.ts';
import type { Distribution } from './distribution.ts';
import type { ResolvedAnalysis } from './measure-dataset.ts';
import type { SuspiciousBox } from './suspicious-boxes.ts';

/** Which model the data set is looked at for; a model of its own needs `defaultBoxes` and `maps`. */
export interface AnalysisOptions {
  /** Default `best`. */
  preset?: PresetName;
  /** Default `ssd`. */
  head?: HeadName;
  /** What pictures are resized to; default 640 x 640. */
  imageSize?: Size;
  /** In the place of the preset's or the head's. */
  defaultBoxes?: BoxOptions;
  /** The feature maps of the model in cells, the finest first; default: the preset's. At most as many as entries in `defaultBoxes`. */
  maps?: readonly Size[];
  /** Aspect ratios of each map in the proposal, at most; default: as many as that map has now. */
  ratios?: number;
  /** Of the clustering; default 0. */
  seed?: number;
}

/** Progress and cancelling of `analyzeDataset`. */
export interface AnalysisHooks {
  /** Called after each picture whose file was compared with the others: the longest part. */
  onProgress?: (done: number, total: number) => void;
  /** Aborted: the analysis rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** How often a class is in a data set. */
export interface ClassCount {
  label: string;
  /** All of them, the difficult ones too. */
  objects: number;
  /** Pictures with at least one. */
  images: number;
  /** Objects with VOC's flag `difficult`. */
  difficult: number;
}

/** Default boxes on a model's feature maps, and how they fit the objects. */
export interface DefaultBoxFit {
  defaultBoxes: BoxOptions;
  coverage: Coverage;
}

/** What `analyzeDataset` found: plain JSON. A `Distribution` is null when there is nothing to count. */
export interface DatasetAnalysis {
  images: number;
  objects: number;
  /** In the order of the class list, the background left out; classes without objects too. */
  classes: ClassCount[];
  objectsPerImage: Distribution | null;
  /** Ids of the pictures without a usable object. */
  imagesWithoutObjects: string[];
  /** Of the boxes, in parts of the picture: its width, its height, and sqrt(width * height). */
  width: Distribution | null;
  height: Distribution | null;
  side: Distribution | null;
  /** Width / height of those parts, as default boxes have it: 1 is a box of the picture's own shape. */
  aspectRatio: Distribution | null;
  /** Width and height of up to 500 boxes from all over the data set, in parts of the picture. */
  shapes: Shape[];
  /** Centres of the boxes: `[row][column]` of 10 x 10 equal parts of the picture. */
  positions: number[][];
  /** Ids of pictures whose files are the same, byte for byte. */
  duplicateImages: string[][];
  suspiciousBoxes: SuspiciousBox[];
  /** What the data set had to skip or repair; boxes beyond the picture are `box-clipped` and `box-outside`. */
  issues: readonly DatasetIssue[];
  imageSize: Size;
  maps: readonly Size[];
  configured: DefaultBoxFit;
  /** From k-means; the configured default boxes where nothing better was found. */
  proposed: DefaultBoxFit;
  /** For people: what a training on this data with the configured model should not begin without. */
  warnings: string[];
}

/**
 * Looks at a data set before a training: what is in it, what looks wrong, and whether the default boxes of the model fit its
 * objects. Needs no LibTorch and no weights. The event loop is never held long.
 *
 * Rejects with `TypeError`/`RangeError` for wrong options, with `DetectorError` `IMAGE_UNREADABLE` for a picture that is gone, or
 * with the reason of `signal`.
 */
export async function analyzeDataset(
  dataset: VocDataset,
  options: AnalysisOptions = {},
  hooks: AnalysisHooks = {},
): Promise<DatasetAnalysis> {
  if (!(dataset instanceof VocDataset)) throw new TypeError(wrongArgument('dataset', 'VocDataset', dataset));
  const resolved = resolveOptions(options);
  const given = checkKeys('hooks', hooks, ['onProgress', 'signal']) as AnalysisHooks;
  if (given.onProgress !== undefined) checkFunction('onProgress', given.onProgress);
  const { measureDataset } = await import('./measure-dataset.ts');
  return await measureDataset(dataset, resolved, given);
}

function resolveOptions(value: AnalysisOptions): ResolvedAnalysis {
  const keys = ['preset', 'head', 'imageSize', 'defaultBoxes', 'maps', 'ratios', 'seed'];
  const options = checkKeys('options', value, keys) as AnalysisOptions;
  const size = options.imageSize ?? { width: 640, height: 640 };
  const config = presetConfig(options.preset ?? defaultPreset, 'convnext_tiny', size, options);
  const { imageSize, defaultBoxes } = config;
  const maps = checkMaps(options.maps ?? presetMaps(config), countMaps(defaultBoxes));
  const ratios = options.ratios === undefined ? undefined : checkInteger('ratios', options.ratios, 0, 16);
  const seed = checkInteger('seed', options.seed ?? 0, 0);
  return { layout: { imageSize, maps }, defaultBoxes, proposal: { ratios, seed } };
}

function checkMaps(value: unknown, entries: number): Size[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument('maps', 'array', value));
  checkInteger('maps.length', value.length, 1, entries);
  return value.map((map, k) => {
    const { width, height } = checkKeys(`maps[${k}]`, map, ['width', 'height']);
    return {
      width: checkInteger(`maps[${k}].width`, width, 1, 1024),
      height: checkInteger(`maps[${k}].height`, height, 1, 1024),
    };
  });
}
