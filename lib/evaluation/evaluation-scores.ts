import { runInSlices } from '../base/time-slices.ts';
import { type CocoResult, cocoOfTables, type TorchmetricsResult, torchmetricsOfTables } from './average-precision.ts';
import { classTables } from './class-table.ts';
import type { EvaluatedImage } from './evaluated-image.ts';
import { type VocResult, vocOfTables } from './voc-average-precision.ts';

export interface EvaluationScores {
  coco: CocoResult;
  torchmetrics: TorchmetricsResult;
  voc: VocResult;
}

/**
 * Computes all three metrics with default options. It gathers detections by class and sorts them once. Throws the errors of each metric.
 */
export async function scoreImages(images: readonly EvaluatedImage[]): Promise<EvaluationScores> {
  const tables = await runInSlices(classTables(images));
  return {
    coco: await runInSlices(cocoOfTables(tables, images.length)),
    torchmetrics: await runInSlices(torchmetricsOfTables(tables, images.length)),
    voc: await runInSlices(vocOfTables(tables, images.length)),
  };
}
