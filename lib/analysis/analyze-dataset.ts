import { checkFunction, checkInteger, checkKeys, wrongArgument } from '../base/check.ts';
import type { Size } from '../boxes/box.ts';
import { checkDataset } from '../data/check-dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { defaultPreset, presetConfig, presetMaps } from '../model/config.ts';
import { countMaps } from '../model/default-box-options.ts';
import type { AnalysisHooks, AnalysisOptions, DatasetAnalysis, ResolvedAnalysis } from './dataset-analysis.ts';

/**
 * Looks at a data set before a training: what is in it, what looks wrong, and whether the default boxes of the model fit its
 * objects. Needs no LibTorch and no weights. The event loop is never held long.
 *
 * Rejects with `TypeError`/`RangeError` for wrong options, with `DetectorError` `IMAGE_UNREADABLE` for an image that is gone, or
 * with the reason of `signal`.
 */
export async function analyzeDataset(
  dataset: Dataset,
  options: AnalysisOptions = {},
  hooks: AnalysisHooks = {},
): Promise<DatasetAnalysis> {
  checkDataset('dataset', dataset);
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
