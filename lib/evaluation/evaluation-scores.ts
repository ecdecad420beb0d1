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

/** All three metrics with default options: detections are gathered by class and sorted once. Throws as each of them does. */
export async function scoreImages(images: readonly EvaluatedImage[]): Promise<EvaluationScores> {
  const tables = await runInSlices(classTables(images));
  return {
    coco: await runInSlices(cocoOfTables(tables, images.length)),
    torchmetrics: await runInSlices(torchmetricsOfTables(tables, images.length)),
    voc: await runInSlices(vocOfTables(tables, images.length)),
  };
}
