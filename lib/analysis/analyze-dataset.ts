import { checkDataset } from '../data/check-dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { type AnalysisHooks, type AnalysisOptions, resolveAnalysis } from './analysis-options.ts';
import type { DatasetAnalysis } from './dataset-analysis.ts';

/**
 * Examines a data set before a training. It reports the content, suspicious boxes, and how the model's default boxes fit the objects. It
 * needs neither LibTorch nor weights. The event loop stays free.
 *
 * @param hooks an earlier place for the options `onProgress` and `signal`
 * @throws {TypeError|RangeError} for a wrong option; the message names it
 * @throws {DetectorError} `IMAGE_UNREADABLE` if an image file is missing
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
