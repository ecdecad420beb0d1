import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, matrix, tensor } from '../support.ts';

const addon = await loadTestAddon();
const { boxes: expected, pairs } = await golden('native/losses.json');
const kinds = ['giou', 'diou', 'ciou'] as const;

describe('box IoU losses', () => {
  it.each(kinds)('%s equals torchvision, gradients too', (kind) => {
    const [boxes, targets] = pairs.map((values: number[]) => tensor(values, [values.length / 4, 4]));
    const { values, gradient } = addon.boxIouLoss(kind, boxes, targets);
    expectClose(values.data, expected[kind].values, 2e-6);
    expectClose(gradient.data, expected[kind].gradient, 1e-5);
  });

  it('is what hand and paper say, of two squares side by side and of the same centre', () => {
    const square = [0, 0, 2, 2];
    const boxes = matrix([square, square]);
    const targets = matrix([
      [4, 0, 6, 2], // the box around both is 6 x 2, a third of it empty; the centres are 4 apart, its corners sqrt(40)
      [-1, 0.5, 3, 1.5], // intersection 2 of a union of 6 in a box of 4 x 2
    ]);
    const values = (kind: (typeof kinds)[number]) => addon.boxIouLoss(kind, boxes, targets).values.data;
    const iou = 2 / 6;
    expectClose(values('giou'), [1 + 1 / 3, 1 - iou + 2 / 8], 1e-6);
    expectClose(values('diou'), [1 + 16 / 40, 1 - iou], 1e-6);
    const v = (4 / Math.PI ** 2) * (Math.atan(4) - Math.atan(1)) ** 2;
    expectClose(values('ciou'), [1 + 16 / 40, 1 - iou + v ** 2 / (1 - iou + v)], 1e-6);
  });

  it.each(kinds)('%s has finite gradients for boxes that float32 sees no size of', (kind) => {
    const boxes = matrix([
      [500, 500, 500, 500],
      [500, 500, 500, 510],
    ]);
    const { values, gradient } = addon.boxIouLoss(kind, boxes, matrix(Array(2).fill([490, 490, 520, 520])));
    expect([...values.data, ...gradient.data].every(Number.isFinite)).toBe(true);
  });

  it.each(kinds)('%s takes no boxes', (kind) => {
    const { values, gradient } = addon.boxIouLoss(kind, tensor([], [0, 4]), tensor([], [0, 4]));
    expect([values.shape, gradient.shape]).toEqual([[0], [0, 4]]);
  });
});
