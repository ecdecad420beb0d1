import { expect, it } from 'vitest';
import { distributionOf, evenEdges } from '../../../lib/analysis/distribution.ts';

it('has the quantiles of numpy', () => {
  // numpy.quantile([1, 2, 3, 4, 10], [.05, .25, .5, .75, .95]) is 1.2, 2, 3, 4, 8.8.
  const found = distributionOf([10, 1, 4, 2, 3], [0, 5, 10]);
  expect(found).toEqual({
    mean: 4,
    min: 1,
    p5: expect.closeTo(1.2, 12),
    p25: 2,
    median: 3,
    p75: 4,
    p95: expect.closeTo(8.8, 12),
    max: 10,
    counts: [4, 1],
    edges: [0, 5, 10],
  });
});

it('counts an edge with what follows, and what is beyond the ends with the last', () => {
  expect(distributionOf([-3, 0, 1, 1.5, 2, 3, 99], [0, 1, 2, 3])!.counts).toEqual([2, 2, 3]);
});

it('is null without numbers', () => {
  expect(distributionOf([], [0, 1])).toBeNull();
});

it('divides evenly', () => {
  expect(evenEdges(-1, 1, 4)).toEqual([-1, -0.5, 0, 0.5, 1]);
});
