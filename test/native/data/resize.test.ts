import { describe, expect, it } from 'vitest';

import type { Size } from '../../../lib/boxes/box.ts';
import { golden } from '../../support/shared.ts';
import { imageOf, loadTestAddon } from '../support.ts';

const addon = await loadTestAddon();
const cases = await golden('native/resize.json');
const size = (width: number, height: number): Size => ({ width, height });

/** An image of one row of grey values. */
const greys = (...values: number[]) => Uint8Array.from(values.flatMap((value) => [value, value, value]));

function mirrored(image: Uint8Array, { width, height }: Size): Uint8Array {
  return Uint8Array.from(image, (_, i) => {
    const [row, column, channel] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    return image[3 * (row * width + (width - 1 - column)) + channel]!;
  }).subarray(0, width * height * 3);
}

interface ResizeCase {
  name: string;
  from: Size;
  to: Size;
  base64: string;
}

describe('resize_bilinear', () => {
  it.each<ResizeCase>(cases)('equals OpenCV: $from.width x $from.height -> $to.width x $to.height', (expected) => {
    const { name, from, to, base64 } = expected;
    const actual = addon.resizeBilinear(imageOf(name, from), from, to, false);
    expect(Buffer.from(actual)).toEqual(Buffer.from(base64, 'base64'));
  });

  it('to the same size is the image', () => {
    const image = imageOf('same', size(17, 9));
    expect(addon.resizeBilinear(image, size(17, 9), size(17, 9), false)).toEqual(image);
  });

  it.each([0, 1, 127, 254, 255])('of one colour stays this colour: %i', (grey) => {
    const image = new Uint8Array(7 * 5 * 3).fill(grey);
    for (const to of [size(3, 2), size(20, 13), size(7, 11)]) {
      expect(new Set(addon.resizeBilinear(image, size(7, 5), to, false))).toEqual(new Set([grey]));
    }
  });

  it('to half the size is the mean of four pixels', () => {
    const image = Uint8Array.from([...greys(0, 40, 100, 200), ...greys(80, 120, 0, 100)]);
    expect(addon.resizeBilinear(image, size(4, 2), size(2, 1), false)).toEqual(greys(60, 100));
  });

  it('to twice the size mixes three parts to one, and repeats the edge', () => {
    expect(addon.resizeBilinear(greys(0, 100), size(2, 1), size(4, 1), false)).toEqual(greys(0, 25, 75, 100));
  });

  it('keeps red, green and blue apart', () => {
    const image = Uint8Array.from([0, 100, 200, 80, 20, 40]);
    expect([...addon.resizeBilinear(image, size(2, 1), size(1, 1), false)]).toEqual([40, 60, 120]);
  });

  it('flips left to right', () => {
    const [from, to] = [size(13, 7), size(9, 10)];
    const image = imageOf('flip', from);
    const flipped = addon.resizeBilinear(image, from, to, true);
    expect(flipped).toEqual(mirrored(addon.resizeBilinear(image, from, to, false), to));
    expect(flipped).not.toEqual(addon.resizeBilinear(image, from, to, false));
  });

  it('makes any size of a single pixel', () => {
    const pixel = Uint8Array.from([1, 2, 3]);
    const grown = addon.resizeBilinear(pixel, size(1, 1), size(2, 3), false);
    expect([...grown]).toEqual(Array.from({ length: 6 }, () => [1, 2, 3]).flat());
  });
});
