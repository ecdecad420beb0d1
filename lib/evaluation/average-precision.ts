import { checkInteger, checkKeys, checkNumber, wrongArgument } from '../base/check.ts';
import { runInSlices } from '../base/time-slices.ts';
import { type ClassTable, classTables } from './class-table.ts';
import { type AreaRange, type ClassMatches, HIT, type MatchSettings, MISS, matchClass } from './coco-matching.ts';
import type { EvaluatedImage } from './evaluated-image.ts';

export type { EvaluatedImage } from './evaluated-image.ts';

/** The options of the COCO metric; the defaults are those of pycocotools. */
export interface CocoOptions {
  /**
   * The IoU thresholds, ascending. `ap50` and `ap75` need 0.5 and 0.75 among them.
   * @default 0.5, 0.55 ... 0.95
   */
  iouThresholds?: readonly number[];
  /**
   * The recall thresholds, ascending.
   * @default 0, 0.01 ... 1
   */
  recallThresholds?: readonly number[];
  /**
   * The largest numbers of detections per image and class, ascending. The first two serve `ar1` and `ar10`, the last all the rest.
   * @default 1, 10, 100
   */
  maxDetections?: readonly [number, number, number];
}

/** COCO's twelve numbers, 0..1, in the order of pycocotools' `stats`; -1 where there is nothing to average. */
export interface CocoScores {
  /** Average precision over all IoU thresholds: the mAP@0.5:0.95. */
  ap: number;
  ap50: number;
  ap75: number;
  /** Objects of an area up to 32^2 square pixels, between, and from 96^2. */
  apSmall: number;
  apMedium: number;
  apLarge: number;
  /** Average recall with at most 1, 10 and 100 detections per image and class. */
  ar1: number;
  ar10: number;
  ar100: number;
  arSmall: number;
  arMedium: number;
  arLarge: number;
}

/** The COCO metric of one class. */
export interface CocoClassResult extends CocoScores {
  labelIndex: number;
  /** Objects that count: no crowds, no ignored ones. */
  groundTruths: number;
  detections: number;
}

/** The COCO metric of a data set, and of each class. */
export interface CocoResult extends CocoScores {
  /** The twelve numbers in a row. */
  stats: number[];
  /** Every class that has a detection or an object, by label. Without objects its scores are -1, and no mean counts it. */
  perClass: CocoClassResult[];
}

/** The pair of `torchmetrics.detection.MeanAveragePrecision` that the article prints: mAP@0.5:0.95 and mAP@0.5, 0..1, -1 without objects. */
export interface TorchmetricsResult {
  map: number;
  map50: number;
}

const ALL: AreaRange = [0, 1e5 ** 2];
const AREA_RANGES: readonly AreaRange[] = [ALL, [0, 32 ** 2], [32 ** 2, 96 ** 2], [96 ** 2, 1e5 ** 2]];

interface Settings extends MatchSettings {
  recallThresholds: readonly number[];
  /** Smaller limits on detections for the average recall. */
  fewDetections: readonly [number, number];
}

/**
 * Computes the COCO box metric, equal to pycocotools 2.0.11 (`COCOeval` with `iouType='bbox'`) on boxes converted to
 * `[xmin, ymin, xmax - xmin, ymax - ymin]`. Equal scores rank in the order given, so give the images in the order of their
 * ids to compare. The event loop is never held long.
 * @throws {TypeError|RangeError} naming the image and the field
 */
export async function cocoAveragePrecision(
  images: readonly EvaluatedImage[],
  options: CocoOptions = {},
): Promise<CocoResult> {
  const settings = cocoSettings(options);
  return await runInSlices(
    (function* () {
      return yield* evaluate(yield* classTables(images), images.length, settings);
    })(),
  );
}

/** `cocoAveragePrecision` with default options, from tables. */
export function cocoOfTables(tables: readonly ClassTable[], imageCount: number): Generator<void, CocoResult> {
  return evaluate(tables, imageCount, cocoSettings({}));
}

function cocoSettings(options: CocoOptions): Settings {
  const known = checkKeys('options', options, ['iouThresholds', 'recallThresholds', 'maxDetections']) as CocoOptions;
  const [few, more, maxDetections] = checkMaxDetections(known.maxDetections ?? [1, 10, 100]);
  return {
    iouThresholds: checkThresholds('iouThresholds', known.iouThresholds ?? linspace(0.5, 0.95, 10)),
    recallThresholds: checkThresholds('recallThresholds', known.recallThresholds ?? linspace(0, 1, 101)),
    areaRanges: AREA_RANGES,
    fewDetections: [few, more],
    maxDetections,
    float32: false,
  };
}

/**
 * Computes `map` and `map_50` of torchmetrics 1.9 with its default arguments. It hands the same data to pycocotools, but in float32:
 * boxes, and thresholds such as 0.6000000238 that an IoU of exactly 0.6 does not reach, hence numbers that differ from COCO's
 * in the third decimal. (Scores are taken as given: a model's are float32 already.)
 */
export async function torchmetricsMeanAveragePrecision(images: readonly EvaluatedImage[]): Promise<TorchmetricsResult> {
  return await runInSlices(
    (function* () {
      return yield* torchmetricsOfTables(yield* classTables(images), images.length);
    })(),
  );
}

/** How well objects of one range of areas are found. */
export interface AreaScores {
  /** The mean over the classes that have such objects; -1 without any. */
  ap50: number;
  groundTruths: number;
}

/**
 * Computes COCO's average precision at IoU 0.5 for objects of areas within each of the ranges, bounds included: what `apSmall` is to `ap`, for
 * sizes of one's own. Areas are in the unit of the boxes, squared: give boxes in parts of the image's side for sizes relative to it.
 * Throws `TypeError` or `RangeError` naming the image and the field.
 */
export async function averagePrecisionByArea(
  images: readonly EvaluatedImage[],
  ranges: readonly AreaRange[],
): Promise<AreaScores[]> {
  const settings = { ...cocoSettings({ iouThresholds: [0.5] }), areaRanges: ranges };
  return await runInSlices(
    (function* () {
      const classes: ClassMatches[] = [];
      for (const table of yield* classTables(images)) classes.push(yield* matchClass(table, images.length, settings));
      return ranges.map((_, area) => {
        const present = classes.filter(({ positives }) => positives[area]! > 0);
        const scores = present.map(({ outcomes, positives }) =>
          interpolatedPrecision(outcomes[area]![0]!, positives[area]!, settings.recallThresholds),
        );
        const groundTruths = present.reduce((sum, { positives }) => sum + positives[area]!, 0);
        return { ap50: mean(scores), groundTruths };
      });
    })(),
  );
}

/** `torchmetricsMeanAveragePrecision` from tables. */
export function* torchmetricsOfTables(
  tables: readonly ClassTable[],
  imageCount: number,
): Generator<void, TorchmetricsResult> {
  const { ap, ap50 } = yield* evaluate(tables, imageCount, {
    iouThresholds: linspaceFloat32(0.5, 0.95, 10),
    recallThresholds: linspaceFloat32(0, 1, 101),
    areaRanges: [ALL],
    fewDetections: [1, 10],
    maxDetections: 100,
    float32: true,
  });
  return { map: ap, map50: ap50 };
}

const SCORE_NAMES = [
  ...(['ap', 'ap50', 'ap75', 'apSmall', 'apMedium', 'apLarge'] as const),
  ...(['ar1', 'ar10', 'ar100', 'arSmall', 'arMedium', 'arLarge'] as const),
];

function named(stats: readonly number[]): CocoScores {
  return Object.fromEntries(SCORE_NAMES.map((name, i) => [name, stats[i]])) as unknown as CocoScores;
}

function* evaluate(tables: readonly ClassTable[], imageCount: number, settings: Settings): Generator<void, CocoResult> {
  const perClass: CocoClassResult[] = [];
  for (const table of tables) {
    const matches = yield* matchClass(table, imageCount, settings);
    perClass.push({
      labelIndex: table.labelIndex,
      groundTruths: matches.positives[0]!,
      detections: matches.ranks.length,
      ...named(yield* scoreClass(matches, settings)),
    });
  }
  // Every class with objects fills as many cells of pycocotools' arrays, so the mean of the means is the mean of the cells.
  const stats = SCORE_NAMES.map((name) => mean(perClass.map((result) => result[name]).filter((score) => score > -1)));
  return { ...named(stats), stats, perClass };
}

/** The twelve numbers of one class. */
function* scoreClass(
  { outcomes, positives, ranks }: ClassMatches,
  { iouThresholds, recallThresholds, fewDetections, maxDetections }: Settings,
): Generator<void, number[]> {
  const all = 0;
  const precisions: number[][] = [];
  for (const [area, count] of positives.entries()) {
    precisions[area] = [];
    for (const outcome of count > 0 ? outcomes[area]! : []) {
      precisions[area].push(interpolatedPrecision(outcome, count, recallThresholds));
      yield;
    }
  }
  const recalls: number[] = [];
  const limited = fewDetections.map((limit) => ({ area: all, limit }));
  for (const { area, limit } of [...limited, ...AREA_RANGES.map((_, area) => ({ area, limit: maxDetections }))]) {
    const count = positives[area] ?? 0;
    recalls.push(count > 0 ? mean(outcomes[area]!.map((outcome) => countHits(outcome, ranks, limit) / count)) : -1);
    yield;
  }
  const precisionAt = (threshold: number) => precisions[all]![iouThresholds.indexOf(threshold)] ?? -1;
  const [ap, ...apByArea] = AREA_RANGES.map((_, area) => mean(precisions[area] ?? []));
  return [ap!, precisionAt(0.5), precisionAt(0.75), ...apByArea, ...recalls];
}

/**
 * The mean, over the recall thresholds, of the highest precision at that recall or beyond (pycocotools' `accumulate`):
 * the first point whose recall reaches the threshold is always a hit, so only hits are kept.
 */
function interpolatedPrecision(outcome: Uint8Array, positives: number, recallThresholds: readonly number[]): number {
  const precision = new Float64Array(positives);
  let hits = 0;
  let misses = 0;
  for (let i = 0, end = outcome.lastIndexOf(HIT) + 1; i < end; i++) {
    if (outcome[i] === MISS) misses++;
    if (outcome[i] !== HIT) continue;
    precision[hits] = (hits + 1) / (misses + hits + 1 + Number.EPSILON);
    hits++;
  }
  for (let i = hits - 1; i > 0; i--) precision[i - 1] = Math.max(precision[i - 1]!, precision[i]!);
  let sum = 0;
  let point = 0;
  for (const threshold of recallThresholds) {
    while (point < hits && (point + 1) / positives < threshold) point++;
    if (point < hits) sum += precision[point]!;
  }
  return sum / recallThresholds.length;
}

function countHits(outcome: Uint8Array, ranks: Uint32Array, limit: number): number {
  let hits = 0;
  for (let i = 0; i < outcome.length; i++) {
    if (outcome[i] === HIT && ranks[i]! < limit) hits++;
  }
  return hits;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? -1 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** `numpy.linspace` */
function linspace(start: number, stop: number, count: number): number[] {
  const step = (stop - start) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? stop : start + i * step));
}

/**
 * `torch.linspace` in float32: from both ends, each sum rounded once. (So its AVX2 and AVX-512 kernels do; on a processor
 * without them torch rounds twice and gets another last bit at 8 of the 101 recall thresholds.)
 */
function linspaceFloat32(start: number, stop: number, count: number): number[] {
  const [first, last] = [Math.fround(start), Math.fround(stop)];
  const step = Math.fround(Math.fround(last - first) / (count - 1));
  return Array.from({ length: count }, (_, i) =>
    Math.fround(i < Math.floor(count / 2) ? first + step * i : last - step * (count - 1 - i)),
  );
}

function checkThresholds(name: string, values: readonly number[]): readonly number[] {
  if (!Array.isArray(values)) throw new TypeError(wrongArgument(name, 'array of numbers', values));
  if (values.length === 0) throw new RangeError(wrongArgument(`${name}.length`, 'integer >= 1', 0));
  for (const [i, value] of values.entries()) checkNumber(`${name}[${i}]`, value, values[i - 1] ?? 0, 1);
  return values;
}

function checkMaxDetections(values: readonly number[]): readonly [number, number, number] {
  if (!Array.isArray(values) || values.length !== 3) {
    throw new TypeError(wrongArgument('maxDetections', 'array of three integers', values));
  }
  for (const [i, value] of values.entries()) checkInteger(`maxDetections[${i}]`, value, values[i - 1] ?? 1);
  return values as unknown as readonly [number, number, number];
}
