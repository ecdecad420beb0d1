import { describe, expect, it } from 'vitest';
import {
  averagePrecisionByArea,
  cocoAveragePrecision,
  type EvaluatedImage,
  torchmetricsMeanAveragePrecision,
} from '../../../lib/evaluation/average-precision.ts';
import {
  cocoFixture,
  type DetectionRow,
  evaluatedImage,
  type ObjectRow,
  type RandomSetOptions,
  randomSet,
} from '../../support/evaluated-images.ts';
import { golden } from '../../support/shared.ts';

const ONE_OBJECT: ObjectRow[] = [[1, 0, 0, 10, 10]];

function expectAll(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i], `number ${i}`).toBeCloseTo(value, 9);
}

/**
 * pycocotools 2.0.11, `ignore` added to its own flag (which otherwise only knows crowds); with `[2, 3, 5]` its first number
 * taken from `eval['precision']`, as `summarize` wants 100 among the limits there.
 */
const coco: { files: CocoFiles[]; sets: RandomSet[] } = await golden('metrics.json');

/** torchmetrics 1.9 without areas and `ignore`, of the same files and sets: `map` and `map_50`, float32. */
const torchmetrics: { files: number[][]; sets: number[][] } = await golden('torchmetrics.json');

interface CocoFiles {
  truth: string;
  results: string;
  stats: number[];
}

interface RandomSet {
  name: string;
  seed: number;
  options: RandomSetOptions;
  stats: number[];
  /** With at most 2, 3 and 5 detections. */
  fewStats: number[];
  /** AP and AP at .5 by label. */
  perClass: Record<string, [number, number]>;
}

const filePairs = coco.files.map((files, index) => ({ ...files, pair: torchmetrics.files[index]! }));

describe.each(filePairs)('golden vectors: $truth', ({ truth, results, stats, pair }) => {
  it("gives the COCO API's twelve numbers", async () => {
    const pairs = await cocoFixture(truth, results);
    const result = await cocoAveragePrecision(pairs.sort((a, b) => a.id - b.id).map(({ image }) => image));
    expectAll(result.stats, stats);
    const { ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100, arSmall, arMedium, arLarge } = result;
    const named = [ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100, arSmall, arMedium, arLarge];
    expect(named).toEqual(result.stats);
  });

  // torchmetrics numbers the images as they come, here in the order of the file.
  it('gives the pair of torchmetrics', async () => {
    const pairs = await cocoFixture(truth, results);
    const { map, map50 } = await torchmetricsMeanAveragePrecision(pairs.map(({ image }) => image));
    expect([map, map50].map(Math.fround)).toEqual(pair);
  });
});

it('counts objects and detections by class, and gives -1 where a size has no objects', async () => {
  const pairs = await cocoFixture('gt_dataset.json', 'dt_dataset.json');
  const { apSmall, perClass } = await cocoAveragePrecision(pairs.map(({ image }) => image));
  expect(apSmall).toBe(-1);
  expect(perClass.map(({ labelIndex, groundTruths, detections }) => [labelIndex, groundTruths, detections])).toEqual([
    [1, 3, 4],
    [2, 3, 2],
    [3, 1, 1],
    [4, 2, 2],
  ]);
});

const randomSets = coco.sets.map((set, index) => ({
  ...set,
  images: randomSet(set.seed, set.options),
  pair: torchmetrics.sets[index]!,
}));

describe.each(randomSets)('a random set: $name', ({ images, stats, fewStats, perClass, pair }) => {
  it('equals pycocotools, class by class too', async () => {
    const result = await cocoAveragePrecision(images);
    expectAll(result.stats, stats);
    const labels = result.perClass.map(({ labelIndex }) => `${labelIndex}`);
    expect(labels).toEqual(Object.keys(perClass));
    expectAll(
      result.perClass.flatMap(({ ap, ap50 }) => [ap, ap50]),
      Object.values(perClass).flat(),
    );
  });

  it('equals pycocotools with other limits on detections', async () => {
    expectAll((await cocoAveragePrecision(images, { maxDetections: [2, 3, 5] })).stats, fewStats);
  });

  it('equals torchmetrics', async () => {
    const plain = images.map(({ detections, groundTruth: { ignore: _, ...groundTruth } }) => ({
      detections,
      groundTruth,
    }));
    const { map, map50 } = await torchmetricsMeanAveragePrecision(plain);
    expect([map, map50].map(Math.fround)).toEqual(pair);
  });

  it('averages the classes that have objects which count', async () => {
    const result = await cocoAveragePrecision(images);
    const counted = result.perClass.filter(({ groundTruths }) => groundTruths > 0);
    for (const { groundTruths, ap, ap50, ar100 } of result.perClass) {
      if (groundTruths === 0) expect([ap, ap50, ar100]).toEqual([-1, -1, -1]);
    }
    const sum = counted.reduce((total, { ap }) => total + ap, 0);
    expect(result.ap).toBeCloseTo(counted.length === 0 ? -1 : sum / counted.length, 12);
  });
});

it('random sets have 1 to 500 images and every hard case', () => {
  const sizes = randomSets.map(({ images }) => images.length);
  expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([1, 500]);
  const all = randomSets.flatMap(({ images }) => images);
  const have = (condition: (image: EvaluatedImage) => boolean) => all.some(condition);
  expect({
    crowds: have(({ groundTruth }) => groundTruth.crowd!.includes(1)),
    ignored: have(({ groundTruth }) => groundTruth.ignore!.includes(1)),
    ties: have(({ detections: { scores } }) => new Set(scores).size < scores.length),
    withoutTruth: have(
      ({ detections, groundTruth }) => detections.labels.length > 0 && groundTruth.labels.length === 0,
    ),
    withoutDetections: have(
      ({ detections, groundTruth }) => detections.labels.length === 0 && groundTruth.labels.length > 0,
    ),
    empty: have(({ detections, groundTruth }) => detections.labels.length + groundTruth.labels.length === 0),
    classWithoutTruth: randomSets.some(({ perClass }) => perClass[1]?.[0] === -1),
    classNeverFound: randomSets.some(({ perClass }) => Object.values(perClass).some(([ap]) => ap === 0)),
  }).toEqual({
    crowds: true,
    ignored: true,
    ties: true,
    withoutTruth: true,
    withoutDetections: true,
    empty: true,
    classWithoutTruth: true,
    classNeverFound: true,
  });
});

describe('matching, worked by hand', () => {
  it('averages the precision over 101 recalls', async () => {
    const image = evaluatedImage(
      [
        [1, 0.7, 50, 50, 90, 90],
        [1, 0.9, 0, 0, 40, 40],
        [1, 0.8, 200, 200, 240, 240],
      ],
      [
        [1, 0, 0, 40, 40],
        [1, 50, 50, 90, 90],
      ],
    );
    const result = await cocoAveragePrecision([image]);
    // Recall up to .5 at precision 1, the other fifty at 2/3; the best detection alone finds one of two.
    expect(result.ap).toBeCloseTo((51 + (50 * 2) / 3) / 101, 12);
    expect([result.ar1, result.ar10, result.ar100]).toEqual([0.5, 1, 1]);
    expect([result.apSmall, result.apMedium, result.apLarge]).toEqual([-1, result.ap, -1]);
  });

  it('takes an IoU on the threshold as a match, which float32 thresholds above it do not', async () => {
    const image = evaluatedImage([[1, 0.5, 0, 0, 10, 6]], ONE_OBJECT);
    expect((await cocoAveragePrecision([image])).ap).toBeCloseTo(0.3, 12);
    expect((await torchmetricsMeanAveragePrecision([image])).map).toBeCloseTo(0.2, 12);
  });

  it('holds boxes in float32 for torchmetrics', async () => {
    // The nearest float32 of 1006.00002 is 1006: the IoU is .6 again, not .600002.
    const image = evaluatedImage([[1, 0.5, 0, 1000, 10, 1006.00002]], [[1, 0, 1000, 10, 1010]]);
    expect((await cocoAveragePrecision([image])).ap).toBeCloseTo(0.3, 12);
    expect((await torchmetricsMeanAveragePrecision([image])).map).toBeCloseTo(0.2, 12);
  });

  it('forgives 1e-10 at a threshold of 1, and keeps the epsilon of the precision', async () => {
    const options = { iouThresholds: [1], recallThresholds: [0] };
    const near = evaluatedImage([[1, 0.5, 0, 0, 1, 1 - 1e-11]], [[1, 0, 0, 1, 1]]);
    expect((await cocoAveragePrecision([near], options)).ap).toBe(1 / (1 + Number.EPSILON));
    const far = evaluatedImage([[1, 0.5, 0, 0, 1, 1 - 1e-9]], [[1, 0, 0, 1, 1]]);
    expect((await cocoAveragePrecision([far], options)).ap).toBe(0);
  });

  it('gives a detection the later of two objects with the same IoU', async () => {
    const objects: ObjectRow[] = [
      [1, 0, 0, 10, 10],
      [1, 0, 4, 10, 14],
    ];
    const between: DetectionRow = [1, 0.9, 0, 2, 10, 12];
    const first = evaluatedImage([between, [1, 0.8, 0, 0, 10, 10]], objects);
    const second = evaluatedImage([between, [1, 0.8, 0, 4, 10, 14]], objects);
    const options = { iouThresholds: [0.5] };
    expect((await cocoAveragePrecision([first], options)).ap).toBeCloseTo(1, 12);
    // Both detections lie over the taken one; over the free one the second has an IoU of 60 / 140.
    expect((await cocoAveragePrecision([second], options)).ap).toBeCloseTo(51 / 101, 12);
  });

  it('counts a second detection of an object as false', async () => {
    const twice: DetectionRow[] = [
      [1, 0.9, 0, 0, 10, 10],
      [1, 0.8, 0, 0, 10, 10],
    ];
    const image = evaluatedImage(twice, [...ONE_OBJECT, [1, 50, 50, 60, 60]]);
    const later = evaluatedImage([[1, 0.1, 50, 50, 60, 60]], [[1, 50, 50, 60, 60]]);
    // Hit, miss, hit, of three objects: recall 1/3 at precision 1, 2/3 at precision 2/3.
    expect((await cocoAveragePrecision([image, later])).ap).toBeCloseTo((34 + (33 * 2) / 3) / 101, 12);
  });

  it('neither rewards nor punishes any number of detections within a crowd', async () => {
    const inside: DetectionRow[] = [
      [1, 0.95, 110, 110, 120, 120],
      [1, 0.94, 150, 150, 160, 160],
      [1, 0.5, 0, 0, 10, 10],
    ];
    const objects: ObjectRow[] = [...ONE_OBJECT, [1, 100, 100, 200, 200]];
    const image = evaluatedImage(inside, objects, { crowd: Uint8Array.of(0, 1) });
    const result = await cocoAveragePrecision([image]);
    expect(result.ap).toBeCloseTo(1, 12);
    expect(result.perClass[0]).toMatchObject({ groundTruths: 1, detections: 3 });
    // Half outside: the intersection over the detection's own area is .5, a match at the lowest threshold only.
    const half = evaluatedImage([[1, 0.95, 190, 100, 210, 110], inside[2]!], objects, { crowd: Uint8Array.of(0, 1) });
    expect((await cocoAveragePrecision([half], { iouThresholds: [0.5] })).ap).toBeCloseTo(1, 12);
    expect((await cocoAveragePrecision([half], { iouThresholds: [0.55] })).ap).toBeCloseTo(0.5, 12);
  });

  it('uses up an ignored object with its first detection', async () => {
    const twice: DetectionRow[] = [
      [1, 0.95, 100, 100, 120, 120],
      [1, 0.94, 100, 100, 120, 120],
      [1, 0.5, 0, 0, 10, 10],
    ];
    const objects: ObjectRow[] = [[1, 100, 100, 120, 120], ...ONE_OBJECT];
    const ignore = Uint8Array.of(1, 0);
    expect((await cocoAveragePrecision([evaluatedImage(twice, objects, { ignore })])).ap).toBeCloseTo(0.5, 12);
    expect((await cocoAveragePrecision([evaluatedImage(twice.slice(1), objects, { ignore })])).ap).toBeCloseTo(1, 12);
  });

  it('prefers an object that counts to an ignored one of a larger IoU', async () => {
    const objects: ObjectRow[] = [
      [1, 0, 0, 10, 10],
      [1, 0, 0, 10, 8],
    ];
    const image = evaluatedImage([[1, 0.9, 0, 0, 10, 10]], objects, { ignore: Uint8Array.of(1, 0) });
    expect((await cocoAveragePrecision([image], { iouThresholds: [0.5, 0.75] })).ap).toBeCloseTo(1, 12);
    expect((await cocoAveragePrecision([image], { iouThresholds: [0.9] })).ap).toBe(0);
  });

  it('counts an object of exactly 32 x 32 as small and as medium, and ignores unmatched detections of other sizes', async () => {
    const image = evaluatedImage(
      [
        [1, 0.9, 100, 100, 105, 105],
        [1, 0.8, 0, 0, 32, 32],
      ],
      [[1, 0, 0, 32, 32]],
    );
    const result = await cocoAveragePrecision([image]);
    expect(result.apSmall).toBeCloseTo(0.5, 12);
    expect(result.apMedium).toBeCloseTo(1, 12);
    expect(result.apLarge).toBe(-1);
  });

  it('sizes objects by their given areas', async () => {
    const image = evaluatedImage([[1, 0.9, 0, 0, 10, 10]], ONE_OBJECT, { areas: Float64Array.of(96 ** 2 + 1) });
    const { apSmall, apMedium, apLarge } = await cocoAveragePrecision([image]);
    expectAll([apSmall, apMedium, apLarge], [-1, -1, 1]);
  });

  it('ignores the detections of an image beyond the best 100 of a class', async () => {
    const wrong = Array.from({ length: 100 }, (): DetectionRow => [1, 0.9, 300, 300, 310, 310]);
    const right: DetectionRow = [1, 0.1, 0, 0, 10, 10];
    expect((await cocoAveragePrecision([evaluatedImage([...wrong, right], ONE_OBJECT)])).ar100).toBe(0);
    expect((await cocoAveragePrecision([evaluatedImage([...wrong.slice(1), right], ONE_OBJECT)])).ar100).toBeCloseTo(
      1,
      12,
    );
    const otherClass = wrong.map(([, ...rest]): DetectionRow => [2, ...rest]);
    expect((await cocoAveragePrecision([evaluatedImage([...otherClass, right], ONE_OBJECT)])).ap).toBeCloseTo(1, 12);
  });

  it('ranks equal scores in the order given', async () => {
    const right = evaluatedImage([[1, 0.5, 0, 0, 10, 10]], ONE_OBJECT);
    const wrong = evaluatedImage([[1, 0.5, 50, 50, 60, 60]], []);
    expect((await cocoAveragePrecision([right, wrong])).ap).toBeCloseTo(1, 12);
    expect((await cocoAveragePrecision([wrong, right])).ap).toBeCloseTo(0.5, 12);
  });
});

describe('averagePrecisionByArea', () => {
  it('is what COCO has for its own three sizes, class by class and in the mean', async () => {
    const images = randomSet(11, { images: 60, classes: 3, objects: 8, grid: 0, flagged: 0.1 });
    const { ap50, apSmall, apMedium, apLarge } = await cocoAveragePrecision(images, { iouThresholds: [0.5] });
    const all = [0, 1e10] as const;
    const found = await averagePrecisionByArea(images, [all, [0, 32 ** 2], [32 ** 2, 96 ** 2], [96 ** 2, 1e10]]);
    expect(found.map((scores) => scores.ap50)).toEqual([ap50, apSmall, apMedium, apLarge]);
    expect(new Set(found.map((scores) => scores.ap50)).size).toBe(4);
  });

  it('counts the objects of each range, and has -1 for a range without', async () => {
    const image = evaluatedImage(
      [[1, 0.9, 0, 0, 0.1, 0.1]],
      [
        [1, 0, 0, 0.1, 0.1],
        [1, 0, 0, 0.5, 0.5],
        [2, 0, 0, 0.4, 0.6],
      ],
    );
    const ranges = [
      [0, 0.05 ** 2],
      [0.05 ** 2, 0.2 ** 2],
      [0.2 ** 2, 1],
    ] as const;
    expect(await averagePrecisionByArea([image], ranges)).toEqual([
      { ap50: -1, groundTruths: 0 },
      { ap50: expect.closeTo(1), groundTruths: 1 },
      { ap50: 0, groundTruths: 2 },
    ]);
  });
});

describe('empty sets', () => {
  it('has nothing to average without images, and without objects', async () => {
    expect(await cocoAveragePrecision([])).toMatchObject({ stats: Array(12).fill(-1), perClass: [] });
    const result = await cocoAveragePrecision([evaluatedImage([[3, 0.9, 0, 0, 10, 10]], [])]);
    expect(result.stats).toEqual(Array(12).fill(-1));
    expect(result.perClass).toMatchObject([{ labelIndex: 3, ap: -1, groundTruths: 0, detections: 1 }]);
    expect(await torchmetricsMeanAveragePrecision([])).toEqual({ map: -1, map50: -1 });
  });

  it('scores 0 without detections', async () => {
    const result = await cocoAveragePrecision([evaluatedImage([], ONE_OBJECT)]);
    expect([result.ap, result.ap50, result.ar100, result.apSmall, result.apLarge]).toEqual([0, 0, 0, 0, -1]);
  });

  it('survives boxes without area and coordinates that overflow', async () => {
    const flat = evaluatedImage([[1, 0.9, 5, 5, 5, 5]], [[1, 5, 5, 5, 5]]);
    expect((await cocoAveragePrecision([flat])).ap).toBe(0);
    const huge = evaluatedImage([[1, 0.9, -1e308, -1e308, 1e308, 1e308]], ONE_OBJECT);
    expect((await cocoAveragePrecision([huge])).ap).toBe(0);
    expect((await torchmetricsMeanAveragePrecision([huge])).map).toBe(0);
  });
});

describe('properties', () => {
  const images = randomSet(4, { images: 20, classes: 3, objects: 8, grid: 4, flagged: 0 });

  it('is 1 for a perfect detector', async () => {
    const perfect = images.map(({ groundTruth }) => ({
      groundTruth,
      detections: { ...groundTruth, scores: Float64Array.from(groundTruth.labels, () => 0.5) },
    }));
    const { stats } = await cocoAveragePrecision(perfect);
    expectAll([stats[0]!, stats[1]!, stats[2]!, stats[8]!], [1, 1, 1, 1]);
  });

  it('depends on the order of the scores only', async () => {
    const squeezed = images.map(({ detections, groundTruth }) => ({
      detections: { ...detections, scores: detections.scores.map((score) => score ** 3 / 7 - 2) },
      groundTruth,
    }));
    expect(await cocoAveragePrecision(squeezed)).toEqual(await cocoAveragePrecision(images));
  });

  it('takes float32 arrays, as a detector gives them', async () => {
    const single = images.map(({ detections, groundTruth }) => ({
      detections: {
        ...detections,
        boxes: Float32Array.from(detections.boxes),
        scores: Float32Array.from(detections.scores),
      },
      groundTruth: { ...groundTruth, boxes: Float32Array.from(groundTruth.boxes) },
    }));
    expect(await cocoAveragePrecision(single)).toEqual(await cocoAveragePrecision(images));
  });

  it('does not change its input', async () => {
    const before = structuredClone(images);
    await cocoAveragePrecision(images);
    expect(images).toEqual(before);
  });

  it('lets other work run meanwhile', async () => {
    const large = randomSet(5, { images: 1000, classes: 3, objects: 20, grid: 0, flagged: 0 });
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await cocoAveragePrecision(large);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });
});

describe('wrong arguments', () => {
  const fine = evaluatedImage([[1, 0.9, 0, 0, 10, 10]], ONE_OBJECT);

  it.each([
    [{ iouThresholds: [] }, RangeError, /iouThresholds\.length/],
    [{ iouThresholds: [0.5, 1.5] }, RangeError, /iouThresholds\[1\]/],
    [{ iouThresholds: [0.75, 0.5] }, RangeError, /number from 0.75 to 1 for iouThresholds\[1\]/],
    [{ recallThresholds: [Number.NaN] }, RangeError, /recallThresholds\[0\]/],
    [{ recallThresholds: 0.5 }, TypeError, /array of numbers for recallThresholds/],
    [{ maxDetections: [1, 10] }, TypeError, /array of three integers for maxDetections/],
    [{ maxDetections: [0, 10, 100] }, RangeError, /maxDetections\[0\]/],
    [{ maxDetections: [10, 1, 100] }, RangeError, /integer >= 10 for maxDetections\[1\]/],
    [{ iouThreshold: [0.5] }, TypeError, /did you mean "iouThresholds"/],
  ])('refuses options %j', async (options, kind, message) => {
    const refusal = cocoAveragePrecision([fine], options as never);
    await expect(refusal).rejects.toThrow(kind);
    await expect(refusal).rejects.toThrow(message);
  });

  it('refuses what is no list of images, naming the image and the field', async () => {
    await expect(cocoAveragePrecision(fine as never)).rejects.toThrow(/array for images/);
    const broken = { ...fine, detections: { ...fine.detections, scores: Float64Array.of(Number.NaN) } };
    await expect(cocoAveragePrecision([fine, broken])).rejects.toThrow(/images\[1\]\.detections\.scores\[0\].*NaN/);
    await expect(torchmetricsMeanAveragePrecision([broken])).rejects.toThrow(RangeError);
  });

  it('has -1 for the thresholds that were not asked for', async () => {
    const { ap, ap50, ap75 } = await cocoAveragePrecision([fine], { iouThresholds: [0.6, 0.75] });
    expectAll([ap, ap50, ap75], [1, -1, 1]);
  });
});
