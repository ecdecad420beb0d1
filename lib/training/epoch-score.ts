import type { EvaluationResult } from '../evaluation/evaluator.ts';
import type { PresetName } from '../model/config.ts';

/**
 * The number that chooses the best checkpoint: mAP@0.5:0.95. It is COCO's, as every `map` of this library. With the preset `article` it
 * is that of torchmetrics, by which the article's program chooses: the two differ from the third decimal on, and may differ in the epoch.
 */
export function epochScore({ map, compat }: EvaluationResult, preset: PresetName): number {
  return preset === 'article' ? compat.torchmetrics.map : map;
}
