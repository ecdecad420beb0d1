import { describe, expect, it } from 'vitest';

import { loadTestAddon } from '../support.ts';

const addon = await loadTestAddon();
const f = Math.fround;
const perChannel = (values: number[]) => ({ data: Float32Array.from(values), shape: [1, 3, 1, 1] });
const [mean, std] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
];

/** Two images of 128x256, which hold every value in every channel, each at a place of its own. */
const shape = [2, 128, 256, 3];
const pixels = Uint8Array.from({ length: 2 * 128 * 256 * 3 }, (_, i) => i * 7 + (i >> 9));

/** The formula in float32, step by step, in the order [N, 3, H, W]. */
function expected() {
  const plane = 128 * 256;
  return Float32Array.from({ length: pixels.length }, (_, i) => {
    const [n, c, at] = [Math.floor(i / (3 * plane)), Math.floor(i / plane) % 3, i % plane];
    const value = f(pixels[3 * (n * plane + at) + c]! / 255);
    return f(f(value - f(mean![c]!)) / f(std![c]!));
  });
}

describe('values of pixels', () => {
  it('are the formula in float32, bit for bit, for every value in every channel', () => {
    const values = addon.pixelValues('float32', perChannel(mean!), perChannel(std!), { data: pixels, shape });
    expect(values.shape).toEqual([2, 3, 128, 256]);
    expect(values.data).toEqual(expected());
  });

  it('are those rounded to bfloat16', () => {
    const { data } = addon.pixelValues('bfloat16', perChannel(mean!), perChannel(std!), { data: pixels, shape });
    const wanted = expected();
    for (const [i, value] of (data as Float32Array).entries()) {
      expect(Math.abs(value - wanted[i]!)).toBeLessThanOrEqual(Math.abs(wanted[i]!) * 2 ** -8);
    }
  });
});
