import { describe, expect, it } from 'vitest';

import { indices, loadTestAddon, matrix, rowsOf, type Tensor } from '../support.ts';

const addon = await loadTestAddon();

/** For each image, which default boxes are chosen; `loss` of an image falls from the first to the last. */
function chosen(foreground: number[][], ofBackground: boolean): number[][] {
  const anchors = foreground[0]!.length;
  const losses = matrix(foreground.map((row) => row.map((_, i) => anchors - i)));
  const mask = addon.hardNegatives(losses, indices(foreground.flat(), [foreground.length, anchors]), ofBackground);
  return rowsOf(mask as unknown as Tensor).map((row) => row.flatMap((value, i) => (value === 1 ? [i] : [])));
}

describe('hard_negatives', () => {
  const none = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const one = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

  it('takes the three of largest loss for each positive of an image', () => {
    expect(chosen([one, none], false)).toEqual([[0, 2, 3], []]);
    expect(chosen([[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]], false)).toEqual([[1, 2, 4, 5, 6, 7]]);
  });

  it('takes positives when negatives run out, as torchvision', () => {
    expect(chosen([[1, 0, 1, 0]], false)).toEqual([[0, 1, 2, 3]]);
  });

  it('takes three of an image without positives, when asked', () => {
    expect(chosen([one, none], true)).toEqual([
      [0, 2, 3],
      [0, 1, 2],
    ]);
    expect(chosen([none, none], true)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
    ]);
  });

  it('takes as many of it as of the average image', () => {
    const four = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0];
    expect(chosen([four, none], true)[1]).toEqual([0, 1, 2, 3, 4, 5]); // 4 / 2 positives
    expect(chosen([four, none, none], true)[2]).toEqual([0, 1, 2]); // 4 / 3
  });
});
