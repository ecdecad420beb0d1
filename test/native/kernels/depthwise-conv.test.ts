import { describe, expect, it } from 'vitest';

import { depthwiseConv, expectClose } from './blocks.ts';

// Channels choose the kernel: a multiple of 16 takes AVX-512 where the processor has it, of 8 AVX2, of 4 plain vectors, others none.
const shapes = [16, 24, 20, 18].flatMap((channels) =>
  [
    [1, 1, 1],
    [2, 5, 9],
    [1, 13, 7],
    [3, 4, 33],
  ].map(([images, height, width]) => ({ channels, images: images!, height: height!, width: width! })),
);

describe('the depthwise convolution', () => {
  it.each(shapes)('has the output and gradients of float64: %o', (shape) => {
    expectClose(depthwiseConv('float32', shape), depthwiseConv('float64', shape), 1e-5);
    expectClose(depthwiseConv('bfloat16', shape), depthwiseConv('float64', shape), 2e-2);
  });

  it('has a gradient of the weight worked by hand', () => {
    // One pixel: only the kernel's middle meets it.
    const found = depthwiseConv('float32', { images: 1, channels: 16, height: 1, width: 1 });
    const x = depthwiseConv('float64', { images: 1, channels: 16, height: 1, width: 1 });
    const gradient = found.get('gradient of weight')!;
    expect(gradient.shape).toEqual([16, 1, 7, 7]);
    expect(gradient.data.filter((value, i) => i % 49 !== 24 && value !== 0)).toHaveLength(0);
    expect(gradient.data.filter((value, i) => i % 49 === 24 && value !== 0)).toHaveLength(16);
    expect(gradient.data[24]).toBeCloseTo(x.get('gradient of weight')!.data[24]!, 6);
  });
});
