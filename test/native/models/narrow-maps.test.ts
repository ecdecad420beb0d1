import { describe, expect, it } from 'vitest';

import { loadTestAddon, pattern } from '../support.ts';

const core = await loadTestAddon();
const CHANNELS = 16;

/** The last maps of a pyramid at every allowed size of image: the finest of 64 pixels has 8 cells. */
const sides = [1, 2, 3, 4, 5, 8];
const convolutions = [
  { kernel: 1, stride: 1 },
  { kernel: 3, stride: 1 },
  { kernel: 3, stride: 2 },
  { kernel: 5, stride: 1 },
];

/** Output and gradients of a convolution on a map of so many cells. */
function gradients(dtype: 'float32' | 'bfloat16', height: number, width: number, kernel: number, stride: number) {
  const after = (side: number) => Math.ceil(side / stride);
  const inputs = [
    pattern('map', [2, CHANNELS, height, width], 2),
    pattern('weight', [CHANNELS, CHANNELS, kernel, kernel], 0.2),
    pattern('bias', [CHANNELS], 0.2),
  ];
  const upstream = pattern('upstream', [2, CHANNELS, after(height), after(width)], 1);
  return core.convGradients(dtype, inputs, upstream, stride, Math.floor(kernel / 2));
}

describe.each(convolutions)('a convolution of $kernel x $kernel with stride $stride in bfloat16', (conv) => {
  it.each(sides.flatMap((height) => sides.map((width) => [height, width] as const)))(
    'has the gradients of float32 on a map of %i x %i',
    (height, width) => {
      const found = gradients('bfloat16', height, width, conv.kernel, conv.stride);
      const expected = gradients('float32', height, width, conv.kernel, conv.stride);
      for (const [i, { data }] of found.entries()) {
        const most = Math.max(...expected[i]!.data.map(Math.abs));
        const differences = data.map((value, j) => Math.abs(value - expected[i]!.data[j]!));
        expect(data.every(Number.isFinite)).toBe(true);
        expect(Math.max(...differences)).toBeLessThan(0.03 * most);
      }
    },
  );
});
