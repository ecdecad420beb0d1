import { checkInteger, checkKeys, checkNumber, checkSequence, wrongArgument } from '../base/check.ts';
import { runInSlices } from '../base/time-slices.ts';
import { type ClassTable, classTables } from './class-table.ts';
import { type AreaRange, type ClassMatches, HIT, type MatchSettings, MISS, matchClass } from './coco-matching.ts';
import type { EvaluatedImage } from './evaluated-image.ts';

export type { EvaluatedImage } from './evaluated-image.ts';

/** The options of the COCO metric; the defaults are those of pycocotools. */
export interface CocoOptions {
  /**
   * The IoU thresholds, 0 to 1, ascending. `ap50` and `ap75` need 0.5 and 0.75 among them.
   * @default 0.5, 0.55 ... 0.95
   */
  iouThresholds?: readonly number[];
  /**
   * The recall thresholds, 0 to 1, ascending.
   * @default 0, 0.01 ... 1
   */
  recallThresholds?: readonly number[];
  /**
   * The limits on the number of detections per image and class, ascending. `ar1` and `ar10` use the first two; all other numbers use the
   * last.
   * @default 1, 10, 100
   */
  maxDetections?: readonly [number, number, number];
}

/** COCO's twelve numbers, 0 to 1, in the order of pycocotools' `stats`. A number is -1 if there is nothing to average. */
export interface CocoScores {
  /** Average precision over all IoU thresholds (mAP@0.5:0.95). */
  ap: number;
  ap50: number;
  ap75: number;
  /** Average precision of objects with an area up to 32^2 square pixels; `apMedium`: in between; `apLarge`: from 96^2. */
  apSmall: number;
  apMedium: number;
  apLarge: number;
  /** Average recall with at most 1 detection per image and class; `ar10`, `ar100`: with at most 10 and 100. */
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
  /** The number of objects that count: crowds and ignored objects do not. */
  groundTruths: number;
  detections: number;
}

/** The COCO metric of a data set and of each class. */
export interface CocoResult extends CocoScores {
  /** The twelve numbers as an array. */
  stats: number[];
  /** The scores of every class with a detection or an object, by label. A class without objects has scores of -1 and is in no mean. */
  perClass: CocoClassResult[];
}

/**
 * The two numbers of `torchmetrics.detection.MeanAveragePrecision` that the article prints: mAP@0.5:0.95 and mAP@0.5. The range is 0 to 1,
 * or -1 without objects.
 */
export interface TorchmetricsResult {
  map: number;
  map50: number;
}

const ALL: AreaRange = [0, 1e5 ** 2];
const AREA_RANGES: readonly AreaRange[] = [ALL, [0, 32 ** 2], [32 ** 2, 96 ** 2], [96 ** 2, 1e5 ** 2]];

interface Settings extends MatchSettings {
  recallThresholds: readonly number[];
  /** The two smaller limits on detections, for the average recall. */
  fewDetections: readonly [number, number];
}

/**
 * Computes the COCO box metric. The result equals pycocotools 2.0.11 (`COCOeval` with `iouType='bbox'`) on boxes converted to
 * `[xmin, ymin, xmax - xmin, ymax - ymin]`. Detections with equal scores keep their order, so sort images by their id before you compare.
 * The event loop stays free.
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

/** Computes `cocoAveragePrecision` with default options from class tables. */
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
 * Computes `map` and `map_50` of torchmetrics 1.9 with its default arguments. torchmetrics gives the same data to pycocotools, but as
 * float32 boxes and thresholds. An IoU of exactly 0.6 does not reach the threshold 0.6000000238. The numbers therefore differ from COCO's
 * in the third decimal. Scores are used as they are, because scores of a model are float32 already.
 */
export async function torchmetricsMeanAveragePrecision(images: readonly EvaluatedImage[]): Promise<TorchmetricsResult> {
  return await runInSlices(
    (function* () {
      return yield* torchmetricsOfTables(yield* classTables(images), images.length);
    })(),
  );
}

/** The scores of objects within one range of areas. */
export interface AreaScores {
  /** The mean average precision over the classes that have such objects, 0 to 1; -1 without objects. */
  ap50: number;
  groundTruths: number;
}

/**
 * Computes COCO's average precision at IoU 0.5 for objects within each range of areas, bounds included. It is `apSmall` for ranges of your
 * own. Areas have the unit of the boxes, squared. For relative sizes give boxes relative to the image.
 * @throws {TypeError|RangeError} naming the image and the field
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

/** Computes `torchmetricsMeanAveragePrecision` from class tables. */
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
  // Every class with objects fills equally many cells of pycocotools' arrays, so the mean of the means is the mean of the cells.
  const stats = SCORE_NAMES.map((name) => mean(perClass.map((result) => result[name]).filter((score) => score > -1)));
  return { ...named(stats), stats, perClass };
}

/** Computes the twelve numbers of one class. */
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
 * The mean over the recall thresholds of the highest precision at that recall or above (pycocotools' `accumulate`). The first point whose
 * recall reaches a threshold is always a hit, so only hits are kept.
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

/** `numpy.linspace`. */
function linspace(start: number, stop: number, count: number): number[] {
  const step = (stop - start) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? stop : start + i * step));
}

/**
 * `torch.linspace` in float32: computed from both ends, each sum rounded once. This is how its AVX2 and AVX-512 kernels compute. Without
 * them torch rounds twice, and 8 of the 101 recall thresholds differ in the last bit.
 */
function linspaceFloat32(start: number, stop: number, count: number): number[] {
  const [first, last] = [Math.fround(start), Math.fround(stop)];
  const step = Math.fround(Math.fround(last - first) / (count - 1));
  return Array.from({ length: count }, (_, i) =>
    Math.fround(i < Math.floor(count / 2) ? first + step * i : last - step * (count - 1 - i)),
  );
}

function checkThresholds(name: string, values: readonly number[]): readonly number[] {
  checkSequence(name, values, 0, 10_000, 'array of numbers');
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
