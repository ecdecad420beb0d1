import { expect, it } from 'vitest';
import { makeBatch, native } from '../../../lib/binding.ts';
import { resizeBilinear } from '../../../lib/images/resize.ts';

/** Pixels without a pattern. */
function pixels(width: number, height: number): Uint8Array {
  let state = width * 1000 + height;
  return Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

it.each([
  [64, 64, 64, 64],
  [37, 91, 96, 64],
  [640, 333, 96, 64],
  [1, 1, 64, 64],
  [5, 300, 320, 64],
  [1023, 7, 64, 160],
])('%i x %i to %i x %i: as the addon, to the last bit', async (width, height, toWidth, toHeight) => {
  const data = pixels(width, height);
  const addon = await native();
  const size = { width: toWidth, height: toHeight };
  const batch = await makeBatch(addon, {
    size,
    images: [{ data: data.slice(), width, height, flip: false }],
    counts: new Int32Array(1),
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
  });
  const expected = addon.readBatch(batch);
  addon.disposeBatch(batch);
  expect(Buffer.compare(resizeBilinear({ data, width, height }, size), expected)).toBe(0);
});
