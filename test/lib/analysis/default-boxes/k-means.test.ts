import { describe, expect, it } from 'vitest';
import { clusterShapes, type Shape, shapeIou } from '../../../../lib/analysis/default-boxes/k-means.ts';
import { random } from '../../../../lib/base/random.ts';
import { finish } from '../../../support/images.ts';

const shape = (width: number, height: number): Shape => ({ width, height });

/** Shapes within 10 % of a centre. */
function around({ width, height }: Shape, count: number, seed: number): Shape[] {
  const vary = (i: number, use: number) => 0.9 + 0.2 * random(seed, i, use, 1);
  return Array.from({ length: count }, (_, i) => shape(width * vary(i, 0), height * vary(i, 1)));
}

describe('shapeIou', () => {
  it('is the IoU of boxes with one centre', () => {
    expect(shapeIou(shape(2, 2), shape(2, 2))).toBe(1);
    // 2 x 1 within: 2 of 4.
    expect(shapeIou(shape(2, 2), shape(2, 1))).toBe(0.5);
    // A cross of 4 x 1 and 1 x 4: 1 of 7.
    expect(shapeIou(shape(4, 1), shape(1, 4))).toBeCloseTo(1 / 7, 12);
  });
});

describe('clusterShapes', () => {
  const centres = [shape(0.05, 0.08), shape(0.2, 0.2), shape(0.8, 0.5)];
  const shapes = centres.flatMap((centre, k) => around(centre, [5, 200, 30][k]!, k));

  it('finds three clusters, whatever their sizes and the seed', () => {
    for (let seed = 0; seed < 10; seed++) {
      const found = finish(clusterShapes(shapes, 3, { seed }));
      expect(found.centres).toHaveLength(3);
      for (const [k, centre] of found.centres.entries()) expect(shapeIou(centre, centres[k]!)).toBeGreaterThan(0.9);
      expect(found.meanIou).toBeGreaterThan(0.88);
    }
  });

  it('is the mean of the shapes for one cluster', () => {
    const { centres, meanIou } = finish(clusterShapes([shape(1, 2), shape(3, 2)], 1));
    expect(centres).toEqual([shape(2, 2)]);
    // 1x2 and 3x2 against 2x2: 2 of 4, 4 of 6.
    expect(meanIou).toBeCloseTo((1 / 2 + 2 / 3) / 2, 12);
  });

  it('gives the same for the same seed, and more clusters fit better', () => {
    const spread = Array.from({ length: 500 }, (_, i) => shape(0.01 + random(1, i, 0, 2), 0.01 + random(1, i, 1, 2)));
    let last = 0;
    for (const count of [1, 2, 4, 8, 16]) {
      const found = finish(clusterShapes(spread, count, { seed: 5 }));
      expect(found).toEqual(finish(clusterShapes(spread, count, { seed: 5 })));
      expect(found.centres).toHaveLength(count);
      expect(found.meanIou).toBeGreaterThan(last);
      last = found.meanIou;
    }
  });

  it('gives no more clusters than distinct shapes, and none for none', () => {
    const found = finish(clusterShapes([shape(1, 1), shape(2, 3), shape(1, 1)], 5));
    expect(found).toEqual({ centres: [shape(1, 1), shape(2, 3)], meanIou: 1 });
    expect(finish(clusterShapes([], 3))).toEqual({ centres: [], meanIou: 0 });
  });
});
