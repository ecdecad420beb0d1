import { checkKeys, checkNumber } from '../base/check.ts';
import { runInSlices } from '../base/time-slices.ts';
import { type ClassTable, classTables, groupByImage } from './class-table.ts';
import type { EvaluatedImage } from './evaluated-image.ts';

/** The options of the PASCAL VOC metric. */
export interface VocOptions {
  /**
   * The IoU that a hit must exceed, 0 to 1.
   * @default 0.5
   */
  iouThreshold?: number;
}

/** The PASCAL VOC metric of one class. */
export interface VocClassResult {
  labelIndex: number;
  /** VOC 2007: the mean of the highest precision at recall 0, 0.1 ... 1 or above, 0 to 1; -1 without objects. */
  ap11Point: number;
  /** VOC 2010 and later: the area under the precision envelope, 0 to 1; -1 without objects. */
  apArea: number;
  /** The number of objects that count: difficult objects do not. */
  groundTruths: number;
  detections: number;
}

/** The PASCAL VOC metric of a data set and of each class. */
export interface VocResult {
  /** Mean over the classes that have objects, 0 to 1; -1 if no class has any. */
  map11Point: number;
  mapArea: number;
  /** The scores of every class that has a detection or an object, by label. */
  perClass: VocClassResult[];
}

/**
 * Computes the PASCAL VOC metric with both ways of averaging. It follows the rules of the common Python evaluators (py-faster-rcnn's
 * `voc_eval`):
 *
 * - Widths and heights count pixels: `xmax - xmin + 1`.
 * - A detection goes to the object of its class with the largest IoU, difficult or not; among equals to the first.
 * - A hit on a difficult object does not count. A second hit is a false positive.
 *
 * The event loop stays free.
 * @throws {TypeError|RangeError} naming the image and the field
 */
export async function vocAveragePrecision(
  images: readonly EvaluatedImage[],
  options: VocOptions = {},
): Promise<VocResult> {
  const { iouThreshold = 0.5 } = checkKeys('options', options, ['iouThreshold']) as VocOptions;
  checkNumber('iouThreshold', iouThreshold, 0, 1);
  return await runInSlices(
    (function* () {
      return yield* vocOfTables(yield* classTables(images), images.length, iouThreshold);
    })(),
  );
}

/** Computes `vocAveragePrecision` from class tables. */
export function* vocOfTables(
  tables: readonly ClassTable[],
  imageCount: number,
  iouThreshold = 0.5,
): Generator<void, VocResult> {
  const perClass: VocClassResult[] = [];
  for (const table of tables) {
    const groundTruths = table.objects.difficult.filter((flag) => flag === 0).length;
    const curve = yield* precisionRecall(table, imageCount, groundTruths, iouThreshold);
    perClass.push({
      labelIndex: table.labelIndex,
      ap11Point: groundTruths > 0 ? elevenPointPrecision(curve) : -1,
      apArea: groundTruths > 0 ? areaUnderEnvelope(curve) : -1,
      groundTruths,
      detections: table.detections.images.length,
    });
    yield;
  }
  const found = perClass.filter((result) => result.groundTruths > 0);
  const mean = (name: 'ap11Point' | 'apArea') =>
    found.length === 0 ? -1 : found.reduce((sum, result) => sum + result[name], 0) / found.length;
  return { map11Point: mean('ap11Point'), mapArea: mean('apArea'), perClass };
}

/** The precision and recall after each hit, by descending score. `precision` is the highest at that recall or above. */
interface Curve {
  precision: number[];
  recall: number[];
}

function* precisionRecall(
  { detections, objects }: ClassTable,
  imageCount: number,
  groundTruths: number,
  iouThreshold: number,
): Generator<void, Curve> {
  const groups = groupByImage(objects.images, imageCount);
  const taken = new Uint8Array(objects.images.length);
  const curve: Curve = { precision: [], recall: [] };
  let [hits, misses, compared] = [0, 0, 0];
  for (const [d, image] of detections.images.entries()) {
    const box = detections.boxes.subarray(4 * d, 4 * d + 4);
    const candidates = groups.positions.subarray(groups.starts[image], groups.starts[image + 1]);
    compared += candidates.length + 1;
    if (compared > 1 << 14) {
      compared = 0;
      yield;
    }
    const object = bestObject(box, candidates, objects.boxes, iouThreshold);
    if (object !== undefined && objects.difficult[object]) continue;
    if (object === undefined || taken[object]) {
      misses++;
      continue;
    }
    taken[object] = 1;
    hits++;
    curve.precision.push(hits / (hits + misses));
    curve.recall.push(hits / groundTruths);
  }
  for (let i = hits - 1; i > 0; i--) curve.precision[i - 1] = Math.max(curve.precision[i - 1]!, curve.precision[i]!);
  return curve;
}

/** The candidate with the largest IoU, if that exceeds the threshold. */
function bestObject(
  box: Float64Array,
  candidates: Uint32Array,
  boxes: Float64Array,
  iouThreshold: number,
): number | undefined {
  let best = iouThreshold;
  let object: number | undefined;
  for (const candidate of candidates) {
    const iou = pixelIou(box, boxes.subarray(4 * candidate, 4 * candidate + 4));
    if (iou > best) {
      best = iou;
      object = candidate;
    }
  }
  return object;
}

/** IoU of xyxy boxes that include their last row and column of pixels. */
function pixelIou(a: Float64Array, b: Float64Array): number {
  const width = Math.min(a[2]!, b[2]!) - Math.max(a[0]!, b[0]!) + 1;
  const height = Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!) + 1;
  if (width <= 0 || height <= 0) return 0;
  const intersection = width * height;
  return intersection / (pixelArea(a) + pixelArea(b) - intersection);
}

function pixelArea(box: Float64Array): number {
  return (box[2]! - box[0]! + 1) * (box[3]! - box[1]! + 1);
}

function elevenPointPrecision({ precision, recall }: Curve): number {
  let sum = 0;
  // Not i / 10: numpy.arange(0, 1.1, 0.1) has 0.30000000000000004, which a recall of 3 / 10 does not reach.
  for (let i = 0; i <= 10; i++) sum += precision[recall.findIndex((value) => value >= i * 0.1)] ?? 0;
  return sum / 11;
}

function areaUnderEnvelope({ precision, recall }: Curve): number {
  return recall.reduce((sum, value, i) => sum + (value - (recall[i - 1] ?? 0)) * precision[i]!, 0);
}
