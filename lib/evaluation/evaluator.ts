import { checkFunction, checkKeys } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { resolve } from '../base/option.ts';
import { type CallOptions, checkSignal } from '../base/signal.ts';
import { sideRanges } from '../boxes/relative-side.ts';
import { checkDataset } from '../data/check-dataset.ts';
import { DataLoader } from '../data/data-loader.ts';
import type { Dataset, Sample } from '../data/dataset.ts';
import type { Detector } from '../detector/detector.ts';
import { internalsOf } from '../detector/detector-internals.ts';
import { type DetectionRows, splitDetections } from '../detector/flat-detections.ts';
import { nativePostprocess } from '../detector/native-postprocess.ts';
import { averagePrecisionByArea, type CocoResult, type TorchmetricsResult } from './average-precision.ts';
import type { EvaluatedImage } from './evaluated-image.ts';
import { scoreImages } from './evaluation-scores.ts';
import { type EvaluatorOptions, evaluatorTable } from './evaluator-options.ts';

/** The options of one evaluation: progress and cancelling. */
export interface EvaluationHooks extends CallOptions {
  /**
   * Called after each batch with the number of images that are done and the number of all images. An error that it throws ends the
   * evaluation.
   * @default none
   */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /**
   * Called with a sentence about every image that could not be read and is left out.
   * @default none
   */
  onWarning?: ((message: string) => void) | undefined;
}

/** The scores of a detector on one class. */
export interface ClassEvaluation {
  label: string;
  /** Average precision at IoU 0.5 to 0.95 as COCO computes it, 0 to 1; -1 without objects. */
  ap: number;
  /** Average precision at IoU 0.5 as COCO computes it, 0 to 1; -1 without objects. */
  ap50: number;
  /** Average precision at IoU 0.5 by the 11 points of VOC 2007, 0 to 1; -1 without objects. */
  voc2007: number;
  /** Average precision at IoU 0.5 by the area of VOC from 2010 on, 0 to 1; -1 without objects. */
  voc2010: number;
  /** The number of objects of the class in the data set. */
  groundTruths: number;
  /** The number of detections of the class. */
  detections: number;
}

/**
 * The score of a detector on objects of one range of sizes. The size is the side of a square with the object's area, relative to the image.
 */
export interface SizeEvaluation {
  /** The name of the range, for example `side 0.05 - 0.1`. */
  name: string;
  /** Average precision at IoU 0.5, 0 to 1; -1 without objects. It is computed as COCO computes it for its own sizes. */
  ap50: number;
  groundTruths: number;
}

/** The scores of a detector on a data set. Every average precision is from 0 to 1, or -1 if there is nothing to average. */
export interface EvaluationResult {
  /** mAP@0.5:0.95 as COCO computes it: `coco.ap`. */
  map: number;
  /** mAP@0.5 as COCO computes it: `coco.ap50`. */
  map50: number;
  /** COCO's twelve numbers. `difficult` objects count like any other object. */
  coco: CocoResult;
  /** VOC's mAP at IoU 0.5 by the 11 points of 2007. `difficult` objects are ignored. */
  voc2007: number;
  /** VOC's mAP at IoU 0.5 by the area, as VOC computes it from 2010 on. `difficult` objects are ignored. */
  voc2010: number;
  /** The numbers of other programs, to compare with their output. */
  compat: {
    /** The two numbers that the article prints. torchmetrics computes in float32, so they differ from COCO's in the third decimal. */
    torchmetrics: TorchmetricsResult;
  };
  /** @deprecated Use `compat.torchmetrics`. */
  torchmetrics: TorchmetricsResult;
  /** The scores of every class that has a detection or an object, in the order of the class list. */
  perClass: ClassEvaluation[];
  /** The scores by six ranges of object sizes, smallest first. */
  bySide: SizeEvaluation[];
  /** The number of evaluated images, without those that could not be read. */
  images: number;
  /** The duration in seconds. */
  seconds: number;
}

/**
 * Measures detectors on a data set.
 *
 * @example
 * const { map, map50, perClass } = await new Evaluator(dataset).evaluate(detector);
 */
export class Evaluator {
  readonly #dataset: Dataset;
  readonly #batchSize: number;
  readonly #workers: number;

  /**
   * Creates an evaluator without reading any file.
   * @throws {TypeError|RangeError} for a wrong option or data set; the message names it
   */
  constructor(dataset: Dataset, options: EvaluatorOptions = {}) {
    checkDataset('dataset', dataset);
    const { batchSize, decodeConcurrency } = resolve(evaluatorTable, options);
    this.#dataset = dataset;
    this.#batchSize = batchSize;
    this.#workers = decodeConcurrency;
  }

  /**
   * Detects the objects of every image and compares them with the ground truth. `detector.config.postprocess` has the score threshold and
   * the other limits. They keep more detections than `detect` does by default.
   *
   * @throws {DetectorError} `CHECKPOINT_MISMATCH` when the classes of detector and data set differ; `OUT_OF_MEMORY`; `DISPOSED`
   * @throws the reason of `signal`, after the current batch
   */
  async evaluate(detector: Detector, options: EvaluationHooks = {}): Promise<EvaluationResult> {
    const { onProgress, ...loadHooks } = checkHooks(options);
    const { addon, handle } = internalsOf(detector);
    checkSameClasses(detector, this.#dataset);
    const { imageSize: size, resize } = detector.config;
    const loader = new DataLoader(addon, this.#dataset, {
      size,
      resize,
      batchSize: this.#batchSize,
      workers: this.#workers,
    });

    const started = performance.now();
    const images: EvaluatedImage[] = [];
    const relative: EvaluatedImage[] = [];
    for await (const batch of loader.epoch(0, 0, loadHooks)) {
      const rows = splitDetections(await addon.detect(handle, batch.handle, nativePostprocess(detector.config)));
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

function checkHooks(options: EvaluationHooks): EvaluationHooks {
  const hooks = checkKeys('options', options, ['onProgress', 'onWarning', 'signal']) as EvaluationHooks;
  for (const name of ['onProgress', 'onWarning'] as const)
    if (hooks[name] !== undefined) checkFunction(name, hooks[name]);
  checkSignal('signal', hooks.signal);
  return hooks;
}

/** Checks that labels mean the same in both. @throws {DetectorError} `CHECKPOINT_MISMATCH` */
export function checkSameClasses(detector: Detector, dataset: Dataset): void {
  const [expected, found] = [detector.classes.join(', '), dataset.classes.join(', ')];
  if (expected === found) return;
  throw new DetectorError(
    'CHECKPOINT_MISMATCH',
    `The detector has the classes ${expected}, but the data set has ${found}. Use the data set file that the detector was trained with`,
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

/** Converts boxes from pixels to parts of the image's width and height. */
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
  const { ap: map, ap50: map50 } = coco;
  return {
    map,
    map50,
    coco,
    compat: { torchmetrics },
    torchmetrics,
    voc2007: voc.map11Point,
    voc2010: voc.mapArea,
    perClass,
  };
}
