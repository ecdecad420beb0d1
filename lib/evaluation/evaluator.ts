import { checkFunction, checkInteger, checkKeys } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { sideRanges } from '../boxes/relative-side.ts';
import { checkDataset } from '../data/check-dataset.ts';
import { DataLoader } from '../data/data-loader.ts';
import type { Dataset, Sample } from '../data/dataset.ts';
import { type Detector, internalsOf } from '../detector/detector.ts';
import { type DetectionRows, splitDetections } from '../detector/flat-detections.ts';
import { averagePrecisionByArea, type CocoResult } from './average-precision.ts';
import type { EvaluatedImage } from './evaluated-image.ts';
import { scoreImages } from './evaluation-scores.ts';

/** How much an evaluation does at a time. */
export interface EvaluatorOptions {
  /** Images that go through the model together; default 8. */
  batchSize?: number;
  /** Images that are decoded at the same time; default 2. */
  workers?: number;
}

/** Progress and cancelling of an evaluation. */
export interface EvaluationHooks {
  /** Called after each batch with the images done. */
  onProgress?: (done: number, total: number) => void;
  /** Told of every image that could not be read and is left out. */
  onWarning?: ((message: string) => void) | undefined;
  /** Aborted: the evaluation rejects with its reason after the batch that is under way. */
  signal?: AbortSignal | undefined;
}

/** How a detector does on one class. */
export interface ClassEvaluation {
  label: string;
  /** COCO's AP at IoU 0.5:0.95 and at 0.5; -1 without objects. */
  ap: number;
  ap50: number;
  /** VOC's AP at IoU 0.5: 11 points (2007), and area (2010 on); -1 without objects. */
  voc2007: number;
  voc2010: number;
  /** Objects of the class in the data set, and what the detector took for one. */
  groundTruths: number;
  detections: number;
}

/** Objects of one of `sideRanges`: by the side of a square of their area, in parts of the image's. */
export interface SizeEvaluation {
  name: string;
  /** As COCO's for its own sizes, at IoU 0.5; -1 without objects. */
  ap50: number;
  groundTruths: number;
}

/** How a detector does on a data set. Every average precision is from 0 to 1, or -1 where there is nothing to average. */
export interface EvaluationResult {
  /** COCO's twelve numbers. `difficult` objects count as any other. */
  coco: CocoResult;
  /** VOC's mAP at IoU 0.5, by 11 points (2007) and by area (2010 on); `difficult` objects count for nothing. */
  voc2007: number;
  voc2010: number;
  /** The pair that the article prints, as torchmetrics computes it. */
  torchmetrics: { map: number; map50: number };
  /** Every class that has a detection or an object, in the order of the class list. */
  perClass: ClassEvaluation[];
  /** Six sizes relative to the image, the smallest first. */
  bySide: SizeEvaluation[];
  /** Images that were looked at: those that could not be read are not among them. */
  images: number;
  seconds: number;
}

/** Measures a detector on a data set. */
export class Evaluator {
  readonly #dataset: Dataset;
  readonly #batchSize: number;
  readonly #workers: number;

  /** Throws `TypeError` or `RangeError` for a wrong option; touches no file. */
  constructor(dataset: Dataset, options: EvaluatorOptions = {}) {
    checkDataset('dataset', dataset);
    const { batchSize, workers } = checkKeys('options', options, ['batchSize', 'workers']) as EvaluatorOptions;
    this.#dataset = dataset;
    this.#batchSize = checkInteger('batchSize', batchSize ?? 8, 1, 1024);
    this.#workers = checkInteger('workers', workers ?? 2, 1, 256);
  }

  /**
   * Detects on every image, with the postprocessing of the detector's configuration, and compares with the ground truth.
   *
   * Rejects with the signal's reason when it is aborted, and with `CHECKPOINT_MISMATCH` when the classes differ.
   */
  async evaluate(detector: Detector, hooks: EvaluationHooks = {}): Promise<EvaluationResult> {
    const { onProgress, ...loadHooks } = checkKeys('hooks', hooks, [
      'onProgress',
      'onWarning',
      'signal',
    ]) as EvaluationHooks;
    if (onProgress !== undefined) checkFunction('onProgress', onProgress);
    const { addon, handle } = internalsOf(detector);
    checkSameClasses(detector, this.#dataset);
    const { imageSize: size, postprocess } = detector.config;
    const loader = new DataLoader(addon, this.#dataset, { size, batchSize: this.#batchSize, workers: this.#workers });

    const started = performance.now();
    const images: EvaluatedImage[] = [];
    const relative: EvaluatedImage[] = [];
    for await (const batch of loader.epoch(0, 0, loadHooks)) {
      const rows = splitDetections(await addon.detect(handle, batch.handle, postprocess));
      for (const [i, sample] of batch.samples.entries()) {
        const image = toEvaluatedImage(sample, rows[i]!);
        images.push(image);
        relative.push(inPartsOf(sample, image));
      }
      onProgress?.(images.length, this.#dataset.length);
    }
    const scores = await score(images, detector.classes);
    return {
      ...scores,
      bySide: await scoreBySide(relative),
      images: images.length,
      seconds: (performance.now() - started) / 1000,
    };
  }
}

/** Throws `CHECKPOINT_MISMATCH` unless a label means the same in both. */
export function checkSameClasses(detector: Detector, dataset: Dataset): void {
  const [expected, found] = [detector.classes.join(', '), dataset.classes.join(', ')];
  if (expected === found) return;
  throw new DetectorError(
    'CHECKPOINT_MISMATCH',
    `The detector knows the classes ${expected}, the data set has ${found}; use the configuration that the detector was made for`,
  );
}

function toEvaluatedImage({ objects }: Sample, { boxes, scores, labels }: DetectionRows): EvaluatedImage {
  return {
    detections: { boxes, scores, labels },
    groundTruth: {
      boxes: Float64Array.from(objects.flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax])),
      labels: Int32Array.from(objects, ({ labelIndex }) => labelIndex),
      difficult: Uint8Array.from(objects, ({ difficult }) => Number(difficult)),
    },
  };
}

/** The same boxes in parts of the image's width and height. */
function inPartsOf({ width, height }: Sample, { detections, groundTruth }: EvaluatedImage): EvaluatedImage {
  const scaled = <T extends { boxes: EvaluatedImage['groundTruth']['boxes'] }>(side: T): T => {
    return { ...side, boxes: side.boxes.map((value, i) => value / (i % 2 === 0 ? width : height)) };
  };
  return { detections: scaled(detections), groundTruth: scaled(groundTruth) };
}

async function scoreBySide(relative: EvaluatedImage[]): Promise<SizeEvaluation[]> {
  const scores = await averagePrecisionByArea(
    relative,
    sideRanges.map(({ from, to }) => [from ** 2, to ** 2]),
  );
  return scores.map((score, i) => ({ name: sideRanges[i]!.name, ...score }));
}

async function score(images: EvaluatedImage[], classes: readonly string[]) {
  const { coco, torchmetrics, voc } = await scoreImages(images);
  // Both list every class that has a detection or an object, by label.
  const perClass = coco.perClass.map(({ labelIndex, ap, ap50, groundTruths, detections }, i) => ({
    label: classes[labelIndex - 1]!,
    ap,
    ap50,
    voc2007: voc.perClass[i]!.ap11Point,
    voc2010: voc.perClass[i]!.apArea,
    groundTruths,
    detections,
  }));
  return { coco, torchmetrics, voc2007: voc.map11Point, voc2010: voc.mapArea, perClass };
}
