import { describe, expect, it } from 'vitest';
import { cocoAveragePrecision, torchmetricsMeanAveragePrecision } from '../../lib/average-precision.ts';
import {
  cocoFixture,
  type DetectionRow,
  evaluatedImage,
  type ObjectRow,
  randomSet,
} from '../support/evaluated-images.ts';

const ONE_OBJECT: ObjectRow[] = [[1, 0, 0, 10, 10]];

function expectAll(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i], `number ${i}`).toBeCloseTo(value, 9);
}

describe('golden vectors of the COCO API', () => {
  it('gives the twelve numbers of its own fake detections over 100 images', async () => {
    const pairs = await cocoFixture('instances_val2014_100.json', 'instances_val2014_fakebbox100_results.json');
    const result = await cocoAveragePrecision(pairs.sort((a, b) => a.id - b.id).map(({ image }) => image));
    const expected = [
      0.5045806987249628, 0.6969727247299577, 0.5729816669904824, 0.5856257209410443, 0.5193996948036719,
      0.5013978986347466, 0.38681277964578054, 0.5936795762842003, 0.595352982877607, 0.6398109626113442,
      0.5664205978994309, 0.5642905982905982,
    ];
    expectAll(result.stats, expected);
    const { ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100, arSmall, arMedium, arLarge } = result;
    const named = [ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100, arSmall, arMedium, arLarge];
    expect(named).toEqual(result.stats);
  });

  it('gives -1 where a size has no objects', async () => {
    const pairs = await cocoFixture('gt_dataset.json', 'dt_dataset.json');
    const result = await cocoAveragePrecision(pairs.map(({ image }) => image));
    expectAll(
      result.stats,
      [
        0.6947194719471946, 0.6947194719471946, 0.6947194719471946, -1, 0.7920792079207921, 0, 0.6666666666666666, 0.75,
        0.75, -1, 0.7916666666666666, 0,
      ],
    );
    expect(
      result.perClass.map(({ labelIndex, groundTruths, detections }) => [labelIndex, groundTruths, detections]),
    ).toEqual([
      [1, 3, 4],
      [2, 3, 2],
      [3, 1, 1],
      [4, 2, 2],
    ]);
  });

  // torchmetrics 1.9 numbers the images as they come, here in the order of the file, and returns float32.
  it('gives the pair of torchmetrics', async () => {
    const pairs = await cocoFixture('instances_val2014_100.json', 'instances_val2014_fakebbox100_results.json');
    const { map, map50 } = await torchmetricsMeanAveragePrecision(pairs.map(({ image }) => image));
    expect(Math.fround(map)).toBe(0.5034999847412109);
    expect(Math.fround(map50)).toBe(0.6962398886680603);
  });
});

/**
 * Expected: pycocotools 2.0.11 on the same boxes as xywh, `ignore` added to its own flag (which otherwise only knows crowds);
 * with `[2, 3, 5]` its first number taken from `eval['precision']`, as `summarize` wants 100 among the limits there;
 * torchmetrics 1.9 on float32 tensors without areas and `ignore`.
 */
const randomSets = [
  {
    name: 'crowds, ignored objects, equal scores, IoUs on the thresholds',
    images: randomSet(1, { images: 40, classes: 4, objects: 12, grid: 4, flagged: 0.2 }),
    stats: [
      0.22543756795028846, 0.43459332588343047, 0.17091690977467688, 0.42396608286504356, 0.13248305044572842,
      0.22362800023495696, 0.2734113300492611, 0.47160605621558976, 0.4723203419298754, 0.6451505602240897,
      0.3315746753246753, 0.3616666666666667,
    ],
    fewStats: [
      0.22226421542766475, 0.4323706246113309, 0.1658167490933962, 0.4163012103121187, 0.13267190349618774,
      0.22061638733277605, 0.3545073891625616, 0.4137170385395537, 0.4567893364242349, 0.615983893557423,
      0.3315746753246753, 0.3491666666666667,
    ],
    torchmetrics: [0.23465177416801453, 0.4497697055339813],
  },
  {
    name: 'fractional coordinates, no flags',
    images: randomSet(2, { images: 60, classes: 3, objects: 6, grid: 0, flagged: 0 }),
    stats: [
      0.19618736796240513, 0.44083015744898635, 0.11691225701645018, 0.2358849403811242, 0.1593630621486283,
      0.25767402947246176, 0.2123632281696798, 0.41339684509039354, 0.41339684509039354, 0.43700000000000006,
      0.39841269841269844, 0.4075905575905576,
    ],
    fewStats: [
      0.1925642189443345, 0.437252445419027, 0.11223322662119276, 0.23561816607405392, 0.1593630621486283,
      0.2450898793447267, 0.3231510693607468, 0.36554058844381426, 0.40105784000945294, 0.4353333333333334,
      0.39841269841269844, 0.3760582010582011,
    ],
    torchmetrics: [0.19618141651153564, 0.44083017110824585],
  },
  {
    name: 'more than 100 detections of a class in an image',
    images: randomSet(3, { images: 8, classes: 1, objects: 150, grid: 2, flagged: 0.1 }),
    stats: [
      0.2971747034320414, 0.6655408366565861, 0.19084677824224477, 0.2907230685568995, 0.29395818839159393,
      0.32682255953417366, 0.007630522088353414, 0.05642570281124497, 0.3809236947791165, 0.37883597883597886,
      0.36274509803921573, 0.3917874396135266,
    ],
    fewStats: [
      0.029871268027423865, 0.05626345243219975, 0.025907590759075904, 0.03425271098538425, 0.01287128712871287,
      0.037585671463073914, 0.013052208835341365, 0.02048192771084337, 0.032329317269076306, 0.03333333333333333,
      0.012745098039215686, 0.04106280193236715,
    ],
    torchmetrics: [0.29955074191093445, 0.6586058735847473],
  },
];

describe.each(randomSets)('a random set: $name', ({ images, stats, fewStats, torchmetrics }) => {
  it('equals pycocotools', async () => {
    expectAll((await cocoAveragePrecision(images)).stats, stats);
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
    expect([map, map50].map(Math.fround)).toEqual(torchmetrics);
  });

  it('averages the classes that have objects', async () => {
    const result = await cocoAveragePrecision(images);
    const counted = result.perClass.filter(({ groundTruths }) => groundTruths > 0);
    expect(result.perClass[0]).toMatchObject({ labelIndex: 1, groundTruths: 0, ap: -1, ap50: -1, ar100: -1 });
    expect(counted).toHaveLength(result.perClass.length - 1);
    expect(result.ap).toBeCloseTo(counted.reduce((sum, { ap }) => sum + ap, 0) / counted.length, 12);
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
