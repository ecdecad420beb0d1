import { describe, expect, it } from 'vitest';

import { expectClose, loadTestAddon, type Targets, tensor } from '../support.ts';

const core = await loadTestAddon();

const CLASSES = 3;
const IMAGES = 2;
/** The cells of a 64x64 image at strides 8, 16 and 32, row by row: their upper left corners are the points. */
const cells = [8, 16, 32].flatMap((stride) => {
  const side = 64 / stride;
  return Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [(i % side) * stride, Math.floor(i / side) * stride];
    return [x, y, x + stride, y + stride];
  });
});
const points = cells.length;

const of = <T>(length: number, value: (i: number) => T): T[] => Array.from({ length }, (_, i) => value(i));
/** With a column for the background before the classes, which nothing looks at. */
const logits = tensor(
  of(IMAGES * points, (row) => [0, ...of(CLASSES, (c) => Math.sin(0.37 * (row * CLASSES + c) + 0.1) * 1.5 - 2)]).flat(),
  [IMAGES, points, CLASSES + 1],
);
const codes = tensor(
  of(IMAGES * points * 4, (j) => 0.8 * Math.sin(0.73 * j)),
  [IMAGES, points, 4],
);
const cellTensor = tensor(cells.flat(), [points, 4]);

/** Labels count from 1. */
function targetsOf(images: readonly { box: number[]; label: number }[][]): Targets {
  const most = Math.max(1, ...images.map(({ length }) => length));
  const padded = images.map((objects) => of(most, (g) => objects[g] ?? { box: [0, 0, 1, 1], label: 0 }));
  return {
    boxes: tensor(
      padded.flat().flatMap(({ box }) => box),
      [images.length, most, 4],
    ),
    labels: { data: Int32Array.from(padded.flat(), ({ label }) => label), shape: [images.length, most] },
    counts: { data: Int32Array.from(images, ({ length }) => length), shape: [images.length] },
  };
}

const objects = targetsOf([
  [
    { box: [4, 6, 30, 28], label: 2 },
    { box: [20, 10, 60, 58], label: 1 },
    { box: [33, 33, 47, 43], label: 3 },
  ],
  [],
]);

const positives = ({ matches, quality }: { matches: { data: Int32Array }; quality: { data: Float32Array } }) =>
  [...matches.data].flatMap((object, i) => (object >= 0 ? [[i, object, quality.data[i]!]] : []));

describe('the soft assigner', () => {
  // mmdet's algorithm, as libreyolo 1.6.0 computes it with torch 2.13.0.
  it('gives points to objects as the reference does', () => {
    const found = positives(core.assignSoftly(logits, codes, objects, cellTensor, 0));
    const expected = [
      [17, 0, 0.5415633],
      [18, 0, 0.3515248],
      [26, 0, 0.6566878],
      [28, 1, 0.3928431],
      [36, 2, 0.229264],
      [37, 1, 0.3431846],
      [46, 2, 0.5552496],
      [78, 1, 0.4059502],
      [83, 1, 0.4354804],
    ];
    expect(found.map(([point, object]) => [point, object])).toEqual(expected.map(([point, object]) => [point, object]));
    expectClose(
      found.map(([, , quality]) => quality!),
      expected.map(([, , quality]) => quality!),
      1e-6,
    );
  });

  it('gives one point to each object when one is asked for', () => {
    const found = positives(core.assignSoftly(logits, codes, objects, cellTensor, 1));
    expect(found.map(([point, object]) => [point, object])).toEqual([
      [17, 0],
      [46, 2],
      [83, 1],
    ]);
  });

  it('gives the nearest point to an object in which none lies', () => {
    const small = targetsOf([[{ box: [9, 9, 13, 13], label: 1 }], []]);
    const found = positives(core.assignSoftly(logits, codes, small, cellTensor, 0));
    expect(found.map(([point, object]) => [point, object])).toEqual([[9, 0]]); // (8, 8), at stride 8
  });

  it('gives no point to an image without objects', () => {
    expect(positives(core.assignSoftly(logits, codes, targetsOf([[], []]), cellTensor, 0))).toEqual([]);
  });
});

describe('the loss of a dense head', () => {
  it('is the reference without object balance, with every gradient', () => {
    const loss = core.denseLoss(logits, codes, objects, cellTensor, 0);
    expectClose([loss.classLoss, loss.boxLoss, loss.terms], [2.37831974, 1.13326836, 3.9117479], 1e-6);
    expect(loss.positives).toBe(9);
    const sums = (values: Float32Array) => [
      values.reduce((sum, value) => sum + value, 0),
      values.reduce((sum, value) => sum + Math.abs(value), 0),
    ];
    expectClose(sums(loss.logitsGradient.data), [4.05617237, 4.50411081], 2e-6);
    expectClose(sums(loss.regressionGradient.data), [-0.52972215, 2.18433762], 2e-6);
  });

  it('counts every object the same with object balance: the weights of its points add up to the mean', () => {
    // Worked by hand: of 9 positives the objects have 3, 4 and 2, so a point of them weighs 1, 3/4 and 3/2.
    const weights = [1, 1, 1, 0.75, 1.5, 0.75, 1.5, 0.75, 0.75];
    const quality = [0.5415633, 0.3515248, 0.6566878, 0.3928431, 0.229264, 0.3431846, 0.5552496, 0.4059502, 0.4354804];
    const loss = core.denseLoss(logits, codes, objects, cellTensor, 1);
    const terms = weights.reduce((sum, weight, i) => sum + weight * quality[i]!, 0);
    expect(loss.terms).toBeCloseTo(terms, 5);
  });

  it('is finite, and has no box loss, for images without objects', () => {
    const loss = core.denseLoss(logits, codes, targetsOf([[], []]), cellTensor, 1);
    expect(loss.boxLoss).toBe(0);
    expect(loss.classLoss).toBeGreaterThan(0);
    expect([...loss.logitsGradient.data, ...loss.regressionGradient.data].every(Number.isFinite)).toBe(true);
    expect(new Set(loss.regressionGradient.data)).toEqual(new Set([0]));
  });

  it('has no gradient for the column of the background', () => {
    const { data } = core.denseLoss(logits, codes, objects, cellTensor, 1).logitsGradient;
    expect(data.filter((_, i) => i % (CLASSES + 1) === 0).every((value) => value === 0)).toBe(true);
  });
});

describe('hostile ground truth', () => {
  /** Many objects of all sizes, off the image too, as a crowd has them. */
  const crowd = (count: number) =>
    of(count, (i) => {
      const [x, y] = [(i * 7.31) % 64, (i * 13.7) % 64];
      const side = 1 + ((i * 3.7) % 30);
      return { box: [x, y, x + side, y + 0.7 * side], label: 1 + (i % CLASSES) };
    });

  it('is looked at in groups of objects with the same result', () => {
    const many = targetsOf([crowd(500), crowd(37)]);
    for (const count of [0, 1]) {
      const whole = core.assignSoftly(logits, codes, many, cellTensor, count, 1e9);
      for (const pairs of [1, 7 * IMAGES * points, 64 * IMAGES * points]) {
        expect(core.assignSoftly(logits, codes, many, cellTensor, count, pairs)).toEqual(whole);
      }
    }
  });

  it('of 500 objects in an image has finite gradients', () => {
    const loss = core.denseLoss(logits, codes, targetsOf([crowd(500), []]), cellTensor, 1);
    expect(loss.positives).toBeGreaterThan(0);
    expect([...loss.logitsGradient.data, ...loss.regressionGradient.data].every(Number.isFinite)).toBe(true);
  });

  it.each([
    ['smaller than a cell', [9, 9, 10, 10]],
    ['a hundredth of a pixel', [9, 9, 9.01, 9.01]],
    ['in the last cell, beyond every point', [61, 61, 64, 64]],
    ['partly beyond the image', [40, 40, 90, 90]],
    ['wholly beyond the image', [80, 80, 90, 90]],
    ['the whole image', [0, 0, 64, 64]],
  ])('of an object that is %s has a positive and finite gradients', (_, box) => {
    const loss = core.denseLoss(logits, codes, targetsOf([[{ box, label: 1 }], []]), cellTensor, 1);
    expect(loss.positives).toBeGreaterThan(0);
    expect([...loss.logitsGradient.data, ...loss.regressionGradient.data].every(Number.isFinite)).toBe(true);
  });
});

describe('class weights', () => {
  const weights = (...values: number[]) => tensor([1, ...values], [CLASSES + 1]);

  it('of 1 change nothing', () => {
    const plain = core.denseLoss(logits, codes, objects, cellTensor, 1);
    expect(core.denseLoss(logits, codes, objects, cellTensor, 1, weights(1, 1, 1))).toEqual(plain);
  });

  it('multiply what the positives of a class add to the loss of classes, and nothing else', () => {
    const of = (w: number) => core.denseLoss(logits, codes, objects, cellTensor, 1, weights(1, 1, w));
    const [one, two, four] = [of(1), of(2), of(4)];
    expect(two.classLoss).toBeGreaterThan(one.classLoss);
    expect(four.classLoss - two.classLoss).toBeCloseTo(2 * (two.classLoss - one.classLoss), 5);
    expect([four.boxLoss, four.terms]).toEqual([one.boxLoss, one.terms]);
  });
});

it('the branch without NMS learns from one point for each object', () => {
  const loss = core.denseLoss(logits, codes, objects, cellTensor, 1, undefined, 1);
  expect(loss.positives).toBe(3);
  expect(loss.terms).toBeCloseTo(0.5415633 + 0.5552496 + 0.4354804, 5);
});
