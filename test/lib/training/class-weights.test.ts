import { describe, expect, it } from 'vitest';
import type { Dataset } from '../../../lib/data/dataset.ts';
import { type ClassWeights, classWeightsKind, classWeightsOf } from '../../../lib/training/class-weights.ts';

const box = { xmin: 0, ymin: 0, xmax: 1, ymax: 1 };
const classes = ['often', 'rare', 'never'];
const objects = (...labels: number[]) =>
  labels.map((labelIndex) => ({ label: classes[labelIndex - 1]!, labelIndex, difficult: false, box }));
const dataset = {
  classes,
  samples: [{ objects: objects(1, 1, 1, 1, 1, 2) }, { objects: [] }, { objects: objects(1, 1, 2) }],
} as unknown as Dataset;
const { check } = classWeightsKind();

describe('class weights', () => {
  it('balanced make each class that there is count the same, and the average object 1', () => {
    // 9 objects of 2 classes: 7 and 2.
    const weights = classWeightsOf('balanced', dataset);
    expect(weights).toEqual([9 / 14, 9 / 4, 1]);
    expect(7 * weights[0]!).toBeCloseTo(2 * weights[1]!);
  });

  it('are those that are given, one for each class', () => {
    expect(classWeightsOf([1, 2, 0.5], dataset)).toEqual([1, 2, 0.5]);
    expect(() => classWeightsOf([1, 2], dataset)).toThrow(/3 numbers, one for each of often, rare, never.*2 numbers/);
  });

  it.each<[unknown, ClassWeights]>([
    ['balanced', 'balanced'],
    [['balanced'], 'balanced'], // as a command line gives it
    [
      [0.5, 3],
      [0.5, 3],
    ],
  ])('take %j', (given, expected) => {
    expect(check('classWeights', given)).toEqual(expected);
  });

  it.each([['equal'], [[]], [[1, 0]], [[1, -1]], [[1, Number.NaN]], [[1, '2']], [7], [{}], [['balanced', 1]]])(
    'refuse %j',
    (given) => {
      expect(() => check('classWeights', given)).toThrow(/classWeights/);
    },
  );
});
