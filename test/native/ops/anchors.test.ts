import { describe, expect, it } from 'vitest';
import type { Size } from '../../../lib/boxes/box.ts';
import type { AnchorOptions } from '../../../lib/model/default-box-options.ts';
import { golden } from '../../support/shared.ts';
import { loadTestAddon, rowsOf, unpack } from '../support.ts';

const addon = await loadTestAddon();
const { anchors: cases } = await golden('native/retinanet.json');

interface Case extends AnchorOptions {
  grids: Size[];
  image: Size;
  anchors: string;
}

describe('anchors', () => {
  it.each<Case>(cases)("equal torchvision's bit for bit: sizes $sizes, ratios $aspectRatios", (question) => {
    const { grids, image, anchors } = question;
    expect(addon.anchors(question, grids, image).data).toEqual(unpack(anchors));
  });

  it('are the sizes in each ratio, around the corners of the cells: by hand', () => {
    const grids = [
      { width: 2, height: 1 },
      { width: 1, height: 1 },
    ];
    const options = { sizes: [[8], [20]], aspectRatios: [1, 4] };
    expect(rowsOf(addon.anchors(options, grids, { width: 33, height: 20 }))).toEqual([
      [-4, -4, 4, 4],
      [-2, -8, 2, 8],
      [16 - 4, -4, 16 + 4, 4],
      [16 - 2, -8, 16 + 2, 8],
      [-10, -10, 10, 10],
      [-5, -20, 5, 20],
    ]);
  });

  it('have even sides: halves are rounded to the even one', () => {
    const [box] = rowsOf(addon.anchors({ sizes: [[101]], aspectRatios: [1] }, [{ width: 1, height: 1 }], { width: 64, height: 64 })); // biome-ignore format: one line
    expect(box).toEqual([-50, -50, 50, 50]);
  });
});
