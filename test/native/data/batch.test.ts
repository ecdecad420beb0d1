import { describe, expect, it } from 'vitest';

import { imageOf, loadTestAddon, rowsOf } from '../support.ts';

const addon = await loadTestAddon();
const size = { width: 8, height: 4 };
const image = (name: string, width: number, height: number, flip = false) => ({
  data: imageOf(name, { width, height }),
  width,
  height,
  flip,
});

describe('make_batch', () => {
  it('resizes every image into its place, and remembers the sizes', () => {
    const images = [image('a', 5, 6), image('b', 16, 8, true), image('c', 8, 4)];
    const batch = addon.makeBatch(size, images, { counts: [0, 0, 0], boxes: [], labels: [] });
    expect(batch.pixels.shape).toEqual([3, 4, 8, 3]);
    expect(batch.originals).toEqual([
      { width: 5, height: 6 },
      { width: 16, height: 8 },
      { width: 8, height: 4 },
    ]);
    const alone = images.flatMap(({ data, flip, ...from }) => [...addon.resizeBilinear(data, from, size, flip)]);
    expect([...batch.pixels.data]).toEqual(alone);
    expect([...batch.pixels.data.subarray(2 * 4 * 8 * 3)]).toEqual([...images[2]!.data]);
  });

  it('pads the objects of each image to the most, with unit squares', () => {
    const batch = addon.makeBatch(size, [image('a', 8, 4), image('b', 8, 4), image('c', 8, 4)], {
      counts: [1, 0, 2],
      boxes: [1, 2, 3, 4, 0.5, 0, 7.25, 3, 2, 1, 4, 3],
      labels: [3, 1, 2],
    });
    expect(batch.boxes.shape).toEqual([3, 2, 4]);
    expect(rowsOf(batch.boxes)).toEqual([
      [1, 2, 3, 4],
      [0, 0, 1, 1],
      [0, 0, 1, 1],
      [0, 0, 1, 1],
      [0.5, 0, 7.25, 3],
      [2, 1, 4, 3],
    ]);
    expect(batch.labels).toEqual({ data: Int32Array.from([3, 0, 0, 0, 1, 2]), shape: [3, 2] });
    expect(batch.counts).toEqual({ data: Int32Array.from([1, 0, 2]), shape: [3] });
  });

  it('holds no rows when no image has objects', () => {
    const batch = addon.makeBatch(size, [image('a', 8, 4)], { counts: [0], boxes: [], labels: [] });
    expect(batch.boxes.shape).toEqual([1, 0, 4]);
    expect(batch.labels.shape).toEqual([1, 0]);
  });
});
