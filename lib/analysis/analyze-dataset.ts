import { checkFunction, checkInteger, checkKeys, wrongArgument } from '../base/check.ts';
import { checkSignal } from '../base/signal.ts';
import type { Size } from '../boxes/box.ts';
import { checkDataset } from '../data/check-dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { defaultPreset, presetConfig, presetMaps } from '../model/config.ts';
import { countMaps } from '../model/default-box-options.ts';
import type { AnalysisHooks, AnalysisOptions, DatasetAnalysis, ResolvedAnalysis } from './dataset-analysis.ts';

/**
 * Examines a data set before a training: what is in it, what looks wrong, and whether the default boxes of the model fit its objects.
 * It needs neither LibTorch nor weights. The event loop is never held long.
 *
 * @param hooks an earlier place for `onProgress` and `signal`, which are options
 * @throws {TypeError|RangeError} for a wrong option, naming it
 * @throws {DetectorError} `IMAGE_UNREADABLE` for an image file that is gone
 * @throws the reason of `signal` when it is aborted
 */
export async function analyzeDataset(
  dataset: Dataset,
  options: AnalysisOptions = {},
  hooks: AnalysisHooks = {},
): Promise<DatasetAnalysis> {
  checkDataset('dataset', dataset);
  checkKeys('hooks', hooks, hookKeys);
  const resolved = resolveOptions(options);
  const onProgress = hooks.onProgress ?? options.onProgress;
  if (onProgress !== undefined) checkFunction('onProgress', onProgress);
  const signal = checkSignal('signal', hooks.signal ?? options.signal);
  signal?.throwIfAborted();
  const { measureDataset } = await import('./measure-dataset.ts');
  return await measureDataset(dataset, resolved, { onProgress, signal });
}

const hookKeys = ['onProgress', 'signal'];

function resolveOptions(value: AnalysisOptions): ResolvedAnalysis {
  const keys = ['preset', 'head', 'imageSize', 'defaultBoxes', 'maps', 'ratios', 'seed', ...hookKeys];
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
