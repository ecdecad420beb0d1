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

  it.each(shapes)('gives the same without gradients: %o', (shape) => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      expect(residualMlpForward(dtype, shape)).toEqual(residualMlp(dtype, shape).get('output'));
    }
    expectCloseTensor(residualMlpForward('float32', shape), residualMlpForward('float64', shape), 2e-5);
  });

  it('gives the same again, bit for bit', () => {
    const shape = shapes[3]!;
    expect(residualMlp('float32', shape)).toEqual(residualMlp('float32', shape));
    expect(residualMlp('bfloat16', shape)).toEqual(residualMlp('bfloat16', shape));
  });
});
