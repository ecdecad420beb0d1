import { describe, expect, it } from 'vitest';
import {
  boxesPerCell,
  checkDefaultBoxes,
  checkOrderedBoxes,
  countMaps,
  isAnchors,
} from '../../../lib/model/default-box-options.ts';

const boxes = { aspectRatios: [[2], [2, 3]], scales: [0.1, 0.4, 0.9], steps: [], clip: true };
const anchors = { sizes: [[32, 40], [64, 80], [128, 161]], aspectRatios: [0.5, 1, 2] }; // biome-ignore format: one line

describe('default box options', () => {
  it('are of SSD or of RetinaNet', () => {
    for (const options of [boxes, anchors])
      expect(checkDefaultBoxes('boxes', structuredClone(options))).toEqual(options);
    expect([isAnchors(boxes), isAnchors(anchors)]).toEqual([false, true]);
    expect([countMaps(boxes), countMaps(anchors)]).toEqual([2, 3]);
    expect([boxesPerCell(boxes, 1), boxesPerCell(anchors, 1)]).toEqual([6, 6]);
  });

  it.each([
    [{ ...anchors, sizes: [] }, 'integer from 1 to 16 for boxes.sizes.length'],
    [{ ...anchors, sizes: [[32, 40], [64]] }, '2 sizes, as many as those of the first map, for boxes.sizes[1]'],
    [{ ...anchors, sizes: [[32], [0]] }, 'boxes.sizes[1][0]'],
    [{ ...anchors, sizes: [32] }, 'array for boxes.sizes[0]'],
    [{ ...anchors, aspectRatios: [] }, 'boxes.aspectRatios.length'],
    [{ ...anchors, aspectRatios: [-1] }, 'boxes.aspectRatios[0]'],
    [{ ...anchors, scales: [1] }, 'Unknown key "scales" in boxes'],
    [{ ...boxes, scale: 1 }, 'did you mean "scales"'],
    [null, 'object for boxes'],
    [[], 'object for boxes'],
  ])('refuses %o', (value, message) => {
    expect(() => checkDefaultBoxes('boxes', value)).toThrow(message);
  });

  it('ascend with the maps where they are chosen; a checkpoint may have others', () => {
    const scales = { ...boxes, scales: [0.4, 0.1, 0.9] };
    const sizes = {
      ...anchors,
      sizes: [
        [32, 40],
        [128, 161],
        [64, 300],
      ],
    };
    const message = 'as the maps come from fine to coarse, but received';
    expect(() => checkOrderedBoxes('boxes', scales)).toThrow(`Expected boxes.scales that ascend, ${message} 0.1 after 0.4. Sort them`); // biome-ignore format: one line
    expect(() => checkOrderedBoxes('boxes', sizes)).toThrow(
      `Expected boxes.sizes that ascend, ${message} 64 after 128`,
    );
    for (const options of [scales, sizes]) expect(checkDefaultBoxes('boxes', options)).toEqual(options);
    expect(checkOrderedBoxes('boxes', { ...boxes, scales: [0.4, 0.4, 0.4] })).toBeDefined();
    expect(checkOrderedBoxes('boxes', anchors)).toEqual(anchors);
  });
});
