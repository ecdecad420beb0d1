import { expect, it } from 'vitest';
import { splitDetections, unpackDetections } from '../../../lib/detector/flat-detections.ts';

const flat = {
  counts: Int32Array.of(1, 0, 2),
  boxes: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
  scores: Float32Array.of(0.5, 0.75, 0.25),
  labels: Int32Array.of(2, 1, 2),
};

it('splits rows by image', () => {
  const rows = splitDetections(flat);
  expect(rows.map(({ labels }) => [...labels])).toEqual([[2], [], [1, 2]]);
  expect([...rows[2]!.boxes]).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
});

it('gives labels their names', () => {
  expect(unpackDetections(flat, ['cat', 'dog'])).toEqual([
    [{ label: 'dog', score: 0.5, box: { xmin: 1, ymin: 2, xmax: 3, ymax: 4 } }],
    [],
    [
      { label: 'cat', score: 0.75, box: { xmin: 5, ymin: 6, xmax: 7, ymax: 8 } },
      { label: 'dog', score: 0.25, box: { xmin: 9, ymin: 10, xmax: 11, ymax: 12 } },
    ],
  ]);
});
