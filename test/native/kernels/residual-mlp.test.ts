import { describe, expect, it } from 'vitest';

import { expectClose, expectCloseTensor, residualMlp, residualMlpForward } from './blocks.ts';

// 48 x 48 positions of two images are several tiles; 13 x 7 are no multiple of 16.
const shapes = [
  { images: 1, channels: 8, height: 1, width: 1 },
  { images: 2, channels: 24, height: 8, width: 8 },
  { images: 1, channels: 16, height: 13, width: 7 },
  { images: 2, channels: 16, height: 48, width: 48 },
];

describe('the residual MLP', () => {
  it.each(shapes)('has the output and gradients of float64: %o', (shape) => {
    expectClose(residualMlp('float32', shape), residualMlp('float64', shape), 2e-5);
    expectClose(residualMlp('bfloat16', shape), residualMlp('float64', shape), 0.1);
  });

  it.each(shapes)('gives the same without gradients, where the activation is a part of the product: %o', (shape) => {
    const exact = residualMlp('float64', shape).get('output')!;
    expectCloseTensor(residualMlpForward('float64', shape), exact, 1e-12);
    expectCloseTensor(residualMlpForward('float32', shape), exact, 2e-5);
    expectCloseTensor(residualMlpForward('bfloat16', shape), exact, 2e-2);
  });

  it.each(['float32', 'bfloat16'] as const)('keeps what is not a number, and to its position: %s', (dtype) => {
    const shape = { images: 1, channels: 24, height: 5, width: 4 };
    const data = Array.from(residualMlpForward(dtype, shape, { y: { at: 7, value: Number.NaN } }).data);
    // Position 7 of 20 in each of the 24 channels.
    expect(data.map((value) => Number.isNaN(value))).toEqual(data.map((_, i) => i % 20 === 7));
  });

  it('gives the same again, bit for bit', () => {
    const shape = shapes[3]!;
    expect(residualMlp('float32', shape)).toEqual(residualMlp('float32', shape));
    expect(residualMlp('bfloat16', shape)).toEqual(residualMlp('bfloat16', shape));
  });
});
