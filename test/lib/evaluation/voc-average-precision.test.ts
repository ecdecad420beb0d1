import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { vocAveragePrecision } from '../../../lib/evaluation/voc-average-precision.ts';
import {
  corners,
  type DetectionRow,
  evaluatedImage,
  type ObjectRow,
  randomSet,
} from '../../support/evaluated-images.ts';
import { fixture } from '../../support/shared.ts';

type Xywh = readonly [number, number, number, number];

const OBJECT: ObjectRow = [1, 0, 0, 9, 9];
const HIT: DetectionRow = [1, 0.9, 0, 0, 9, 9];

describe('golden vectors', () => {
  it.each([
    [0.3, 0.24568668046928915, 0.2683982683982684],
    [0.5, 0.02222222222222222, 0.0303030303030303],
  ])('scores the toy set at IoU %d', async (iouThreshold, area, elevenPoint) => {
    const { gt_xywh, dt } = JSON.parse(await readFile(fixture('voc_padilla.json'), 'utf8'));
    const images = Object.entries<Xywh[]>(gt_xywh).map(([name, boxes]) =>
      evaluatedImage(
        (dt as { image: string; score: number; xywh: Xywh }[])
          .filter(({ image }) => image === name)
          .map(({ score, xywh }): DetectionRow => [1, score, ...corners(xywh)]),
        boxes.map((xywh): ObjectRow => [1, ...corners(xywh)]),
      ),
    );
    const result = await vocAveragePrecision(images, { iouThreshold });
    expect(result.mapArea).toBeCloseTo(area, 12);
    expect(result.map11Point).toBeCloseTo(elevenPoint, 12);
    expect(result.perClass).toEqual([
      { labelIndex: 1, ap11Point: result.map11Point, apArea: result.mapArea, groundTruths: 15, detections: 24 },
    ]);
  });

  // Expected: the voc_eval of py-faster-rcnn with a stable sort, classes without objects left out.
  it.each([
    [1, { images: 40, classes: 4, objects: 12, grid: 4, flagged: 0.2 }, 0.42718463412541596, 0.43014592726121137],
    [2, { images: 60, classes: 3, objects: 6, grid: 0, flagged: 0 }, 0.4437429673113303, 0.4394321060684787],
    [3, { images: 8, classes: 1, objects: 150, grid: 2, flagged: 0.1 }, 0.5732523028182149, 0.5919633060342151],
  ])('scores random set %d', async (seed, options, elevenPoint, area) => {
    const result = await vocAveragePrecision(randomSet(seed, options));
    expect(result.map11Point).toBeCloseTo(elevenPoint, 9);
    expect(result.mapArea).toBeCloseTo(area, 9);
    expect(result.perClass[0]).toMatchObject({ labelIndex: 1, groundTruths: 0, ap11Point: -1, apArea: -1 });
  });
});

describe('worked by hand', () => {
  it('averages over eleven recalls, and over the area', async () => {
    const far: ObjectRow = [1, 100, 100, 109, 109];
    const miss: DetectionRow = [1, 0.8, 50, 50, 59, 59];
    const result = await vocAveragePrecision([
      evaluatedImage([[1, 0.7, 100, 100, 109, 109], miss, HIT], [OBJECT, far]),
    ]);
    // Recall .5 at precision 1, recall 1 at precision 2/3.
    expect(result.map11Point).toBeCloseTo((6 + (5 * 2) / 3) / 11, 12);
    expect(result.mapArea).toBeCloseTo(0.5 + 0.5 * (2 / 3), 12);
  });

  it('lifts each precision to the highest at a later recall', async () => {
    const objects = [0, 20, 40].map((x): ObjectRow => [1, x, 0, x + 9, 9]);
    const detections = [60, 0, 20, 40].map((x, i): DetectionRow => [1, 0.9 - i / 10, x, 0, x + 9, 9]);
    const result = await vocAveragePrecision([evaluatedImage(detections, objects)]);
    expect(result.mapArea).toBeCloseTo(3 / 4, 12);
    expect(result.map11Point).toBeCloseTo(3 / 4, 12);
  });

  it('asks for a recall of .30000000000000004 where numpy does', async () => {
    const objects = Array.from({ length: 10 }, (_, i): ObjectRow => [1, 20 * i, 0, 20 * i + 9, 9]);
    const detections = [0, 20, 40].map((x): DetectionRow => [1, 0.9, x, 0, x + 9, 9]);
    const result = await vocAveragePrecision([evaluatedImage(detections, objects)]);
    expect(result.map11Point).toBeCloseTo(3 / 11, 12);
    expect(result.mapArea).toBeCloseTo(0.3, 12);
  });

  it('counts the last row and column of pixels, and wants more than the threshold', async () => {
    const pixel = evaluatedImage([[1, 0.9, 3, 3, 3, 3]], [[1, 3, 3, 3, 3]]);
    expect((await vocAveragePrecision([pixel])).mapArea).toBe(1);
    // 10 x 5 pixels of 10 x 10; then 10 x 6.
    expect((await vocAveragePrecision([evaluatedImage([[1, 0.9, 0, 0, 9, 4]], [OBJECT])])).mapArea).toBe(0);
    expect((await vocAveragePrecision([evaluatedImage([[1, 0.9, 0, 0, 9, 5]], [OBJECT])])).mapArea).toBe(1);
    const touching = evaluatedImage([[1, 0.9, 10, 0, 19, 9]], [OBJECT]);
    expect((await vocAveragePrecision([touching], { iouThreshold: 0 })).mapArea).toBe(0);
  });

  it('counts a second hit as false, even where another object is near enough', async () => {
    const near: ObjectRow = [1, 0, 2, 9, 11];
    const result = await vocAveragePrecision([evaluatedImage([HIT, [1, 0.8, 0, 0, 9, 9]], [OBJECT, near])]);
    expect(result.mapArea).toBe(0.5);
    const third = evaluatedImage([HIT, [1, 0.8, 0, 0, 9, 9], [1, 0.7, 0, 2, 9, 11]], [OBJECT, near]);
    expect((await vocAveragePrecision([third])).mapArea).toBeCloseTo(0.5 + 0.5 * (2 / 3), 12);
  });

  it('gives a detection the first of two objects with the same IoU', async () => {
    const between: DetectionRow = [1, 0.9, 0, 1, 9, 10];
    const objects: ObjectRow[] = [OBJECT, [1, 0, 2, 9, 11]];
    const difficult = Uint8Array.of(1, 0);
    expect((await vocAveragePrecision([evaluatedImage([between], objects)])).mapArea).toBe(0.5);
    expect((await vocAveragePrecision([evaluatedImage([between], objects, { difficult })])).mapArea).toBe(0);
    expect(
      (await vocAveragePrecision([evaluatedImage([between], objects.reverse(), { difficult: Uint8Array.of(0, 1) })]))
        .mapArea,
    ).toBe(1);
  });

  it('counts hits on a difficult object as nothing, however many', async () => {
    const objects: ObjectRow[] = [OBJECT, [1, 50, 50, 59, 59]];
    const detections: DetectionRow[] = [HIT, HIT, [1, 0.5, 50, 50, 59, 59]];
    const result = await vocAveragePrecision([evaluatedImage(detections, objects, { difficult: Uint8Array.of(1, 0) })]);
    expect(result.mapArea).toBe(1);
    expect(result.perClass[0]).toMatchObject({ groundTruths: 1, detections: 3 });
  });

  it('keeps classes and images apart', async () => {
    const swapped = evaluatedImage([[2, 0.9, 0, 0, 9, 9]], [OBJECT]);
    expect(await vocAveragePrecision([swapped])).toMatchObject({ map11Point: 0, mapArea: 0 });
    const elsewhere = [evaluatedImage([HIT], []), evaluatedImage([], [OBJECT])];
    expect((await vocAveragePrecision(elsewhere)).mapArea).toBe(0);
  });

  it('averages the classes that have objects', async () => {
    const image = evaluatedImage([HIT, [3, 0.9, 0, 0, 9, 9]], [OBJECT, [2, 0, 0, 9, 9]]);
    const result = await vocAveragePrecision([image]);
    expect(result.mapArea).toBe(0.5);
    expect(result.perClass.map(({ labelIndex, apArea }) => [labelIndex, apArea])).toEqual([
      [1, 1],
      [2, 0],
      [3, -1],
    ]);
  });

  it('ranks equal scores in the order given', async () => {
    const right = evaluatedImage([HIT], [OBJECT]);
    const wrong = evaluatedImage([[1, 0.9, 50, 50, 59, 59]], []);
    expect((await vocAveragePrecision([right, wrong])).mapArea).toBe(1);
    expect((await vocAveragePrecision([wrong, right])).mapArea).toBe(0.5);
  });
});

describe('empty sets and wrong arguments', () => {
  it('has nothing to average without images, and where every object is difficult', async () => {
    expect(await vocAveragePrecision([])).toEqual({ map11Point: -1, mapArea: -1, perClass: [] });
    const difficult = evaluatedImage([HIT], [OBJECT], { difficult: Uint8Array.of(1) });
    expect(await vocAveragePrecision([difficult])).toMatchObject({ map11Point: -1, mapArea: -1 });
  });

  it('scores 0 without detections', async () => {
    expect(await vocAveragePrecision([evaluatedImage([], [OBJECT])])).toMatchObject({ map11Point: 0, mapArea: 0 });
  });

  it('refuses wrong options and images, naming the field', async () => {
    await expect(vocAveragePrecision([], { iouThreshold: 1.5 })).rejects.toThrow(RangeError);
    await expect(vocAveragePrecision([], { threshold: 0.5 } as never)).rejects.toThrow(/Unknown key "threshold"/);
    await expect(vocAveragePrecision({} as never)).rejects.toThrow(/array for images/);
    const broken = evaluatedImage([HIT], [OBJECT], { difficult: new Uint8Array(2) });
    await expect(vocAveragePrecision([broken])).rejects.toThrow(/images\[0\]\.groundTruth\.difficult\.length/);
  });
});
