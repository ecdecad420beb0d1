import { checkDataset } from '../data/check-dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { type AnalysisHooks, type AnalysisOptions, resolveAnalysis } from './analysis-options.ts';
import type { DatasetAnalysis } from './dataset-analysis.ts';

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
  const resolved = resolveAnalysis(options, hooks);
  resolved.signal?.throwIfAborted();
  const { measureDataset } = await import('./measure-dataset.ts');
  return await measureDataset(dataset, resolved);
}
