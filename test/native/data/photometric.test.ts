import { describe, expect, it } from 'vitest';

import type { Photometric } from '../../../lib/binding.ts';
import type { Size } from '../../../lib/boxes/box.ts';
import { golden } from '../../support/shared.ts';
import { addon } from '../detectors.ts';
import { imageOf } from '../support.ts';

const neutral: Photometric = {
  brightness: 1,
  contrast: 1,
  saturation: 1,
  hue: 0,
  contrastFirst: true,
  channels: [0, 1, 2],
};

/** An image with its colours changed, through a batch of this one image. */
async function distort(data: Uint8Array, size: Size, change: Partial<Photometric>): Promise<number[]> {
  const whole = { x: 0, y: 0, ...size };
  const photometric = { ...neutral, ...change };
  const layers = [{ data, ...size, flip: false, window: whole, area: whole, weight: 1, photometric }];
  const handle = await addon.createBatch({
    size,
    images: [{ fill: [0, 0, 0], layers }],
    counts: Int32Array.of(0),
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
  });
  return [...addon.readBatch(handle)];
}

const pixels = (...values: number[][]) =>
  [Uint8Array.from(values.flat()), { width: values.length, height: 1 }] as const;

describe('photometric_distort by hand', () => {
  it('brightness multiplies, truncates and stops at white', async () => {
    expect(await distort(...pixels([10, 101, 250]), { brightness: 1.125 })).toEqual([11, 113, 255]);
    expect(await distort(...pixels([10, 101, 250]), { brightness: 0 })).toEqual([0, 0, 0]);
  });

  it('contrast mixes with the mean grey of the image', async () => {
    // Greys 50 and 150, give or take the truncation of .9999 of them: mean 99.
    expect(await distort(...pixels([50, 50, 50], [150, 150, 150]), { contrast: 0 })).toEqual(new Array(6).fill(99));
    expect(await distort(...pixels([50, 50, 50], [150, 150, 150]), { contrast: 1.5 })).toEqual([
      25, 25, 25, 175, 175, 175,
    ]);
  });

  it('saturation mixes with the grey of each pixel, .2989, .587 and .114 of its channels', async () => {
    expect(await distort(...pixels([200, 0, 0], [0, 200, 0], [0, 0, 200]), { saturation: 0 })).toEqual(
      [59, 117, 22].flatMap((grey) => [grey, grey, grey]),
    );
    expect(await distort(...pixels([200, 0, 0]), { saturation: 0.5 })).toEqual([129, 29, 29]);
  });

  it('hue goes round the circle: a third of a turn takes red to green', async () => {
    expect(await distort(...pixels([255, 0, 0], [0, 255, 0], [0, 0, 255]), { hue: 1 / 3 })).toEqual([
      0, 255, 0, 0, 0, 255, 255, 0, 0,
    ]);
    expect(await distort(...pixels([255, 0, 0]), { hue: -1 / 6 })).toEqual([255, 0, 255]);
    expect(await distort(...pixels([7, 7, 7], [0, 0, 0], [255, 255, 255]), { hue: 0.5 })).toEqual([
      7, 7, 7, 0, 0, 0, 255, 255, 255,
    ]);
  });

  it('channels are taken in the given order', async () => {
    expect(await distort(...pixels([1, 2, 3]), { channels: [2, 0, 1] })).toEqual([3, 1, 2]);
  });

  it('leaves everything as it is by neutral factors', async () => {
    const size = { width: 9, height: 7 };
    const image = imageOf('neutral', size);
    expect(await distort(image, size, {})).toEqual([...image]);
  });
});

describe('photometric_distort of torchvision', async () => {
  interface Case {
    name: string;
    choice: Photometric;
    base64: string;
  }
  const { width, height, cases } = (await golden('native/photometric.json')) as Size & { cases: Case[] };

  it.each(cases.map((each) => [JSON.stringify(each.choice), each] as const))(
    '%s',
    async (_, { name, choice, base64 }) => {
      const image = imageOf(name, { width, height });
      for (let x = 0; x < width; x++) image.fill(13 * x, 3 * x, 3 * x + 3);
      const expected = [...Buffer.from(base64, 'base64')];
      const actual = await distort(image, { width, height }, choice);
      const differences = actual.map((value, i) => Math.abs(value - expected[i]!));
      // Equal where floats are not fused; elsewhere a value on the edge of a truncation may fall to its other side.
      expect(Math.max(...differences)).toBeLessThanOrEqual(2);
      expect(differences.filter((difference) => difference > 0).length).toBeLessThan(actual.length / 100);
    },
  );
});
