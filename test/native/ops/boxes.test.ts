import { describe, expect, it } from 'vitest';

import { expectClose, loadTestAddon, matrix, rowsOf, tensor } from '../support.ts';

const addon = await loadTestAddon();

describe('box_iou', () => {
  it('is intersection over union, of every pair', () => {
    const iou = addon.boxIou(
      matrix([
        [0, 0, 10, 10],
        [5, 5, 15, 15],
      ]),
      matrix([
        [0, 0, 10, 10],
        [0, 0, 5, 10],
        [10, 0, 20, 10],
      ]),
    );
    expect(iou.shape).toEqual([2, 3]);
    expectClose(iou.data, [1, 0.5, 0, 25 / 175, 0, 25 / 175], 1e-6);
  });

  it('is 0 for boxes that are apart in both directions', () => {
    expect([...addon.boxIou(matrix([[0, 0, 1, 1]]), matrix([[5, 5, 6, 6]])).data]).toEqual([0]);
  });

  it('takes a batch of boxes, and none', () => {
    const anchors = matrix([
      [0, 0, 4, 4],
      [2, 0, 6, 4],
    ]);
    const batch = addon.boxIou(tensor([0, 0, 4, 4, 2, 0, 6, 4], [2, 1, 4]), anchors);
    expect(batch.shape).toEqual([2, 1, 2]);
    expectClose(batch.data, [1, 1 / 3, 1 / 3, 1], 1e-6);
    expect(addon.boxIou(tensor([], [3, 0, 4]), anchors).shape).toEqual([3, 0, 2]);
  });
});

describe('clip_boxes', () => {
  it('clamps every corner into the image', () => {
    const boxes = matrix([
      [-1, -2, 50, 60],
      [3, 4, 5, 6],
      [45, 35, 70, 31],
    ]);
    expect(rowsOf(addon.clipBoxes(boxes, { width: 40, height: 30 }))).toEqual([
      [0, 0, 40, 30],
      [3, 4, 5, 6],
      [40, 30, 40, 30],
    ]);
  });
});
