import { describe, expect, it } from 'vitest';
import { filledArea, placementOf } from '../../../lib/boxes/letterbox.ts';

type Sides = [width: number, height: number];
const size = ([width, height]: Sides) => ({ width, height });
const area = (image: Sides, input: Sides): Sides => {
  const { width, height } = filledArea(size(image), size(input), 'letterbox');
  return [width, height];
};

describe('the area of a letterboxed image', () => {
  // As mmcv's imrescale: one scale, sides rounded half up.
  it.each<[image: Sides, input: Sides, expected: Sides]>([
    [[1280, 960], [640, 640], [640, 480]], // biome-ignore format: a table
    [[480, 640], [640, 640], [480, 640]], // biome-ignore format: a table
    [[320, 320], [640, 640], [640, 640]], // biome-ignore format: a table
    [[100, 300], [64, 96], [32, 96]], // biome-ignore format: a table
    [[333, 500], [64, 64], [43, 64]], // biome-ignore format: a table
    [[3, 4], [64, 64], [48, 64]], // biome-ignore format: a table
    [[1, 10_000], [64, 64], [1, 64]], // biome-ignore format: a table
    [[20_000, 3], [64, 128], [64, 1]], // biome-ignore format: a table
  ])('of %j in %j is %j', (image, input, expected) => {
    expect(area(image, input)).toEqual(expected);
  });

  it('is whole pixels inside of the input, fills one side, and keeps the proportions within half a pixel', () => {
    for (let i = 1; i < 500; i++) {
      const image: Sides = [1 + ((i * 7919) % 3000), 1 + ((i * 104_729) % 3000)];
      const input: Sides = [64 + 32 * (i % 9), 64 + 32 * (i % 7)];
      const [width, height] = area(image, input);
      const scale = Math.min(input[0] / image[0], input[1] / image[1]);
      expect(width === input[0] || height === input[1]).toBe(true);
      expect(Number.isInteger(width) && Number.isInteger(height)).toBe(true);
      expect(width >= 1 && height >= 1 && width <= input[0] && height <= input[1]).toBe(true);
      if (width > 1) expect(Math.abs(width - image[0] * scale)).toBeLessThanOrEqual(0.5);
      if (height > 1) expect(Math.abs(height - image[1] * scale)).toBeLessThanOrEqual(0.5);
    }
  });

  it('is everything without a letterbox, and nothing is said of it', () => {
    const [image, input] = [size([10, 99]), size([64, 96])];
    expect(filledArea(image, input)).toEqual(input);
    expect(filledArea(image, input, 'stretch')).toEqual(input);
    expect(placementOf(image, input)).toEqual({});
    expect(placementOf(image, input, 'letterbox')).toEqual({ area: size([10, 96]), fill: [114, 114, 114] });
  });
});
