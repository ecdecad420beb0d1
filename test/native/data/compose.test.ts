import { describe, expect, it } from 'vitest';

import type { BatchComposition, BatchImage, BatchSpec, Placement } from '../../../lib/binding.ts';
import type { Size } from '../../../lib/boxes/box.ts';
import { addon } from '../detectors.ts';
import { imageOf, loadTestAddon } from '../support.ts';

const core = await loadTestAddon();
const FILL = [1, 2, 3];

async function pixelsOf(size: Size, ...images: BatchSpec['images']): Promise<number[]> {
  const handle = await addon.createBatch({
    size,
    images,
    counts: new Int32Array(images.length),
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
  });
  return [...addon.readBatch(handle)];
}

/** An image of grey rows. */
function greys(rows: number[][], flip = false): BatchImage {
  const data = Uint8Array.from(rows.flat().flatMap((grey) => [grey, grey, grey]));
  return { data, width: rows[0]!.length, height: rows.length, flip };
}

const rectangle = (x: number, y: number, width: number, height: number) => ({ x, y, width, height });

function layer(image: BatchImage, place: Partial<Placement> & Pick<Placement, 'area'>): BatchImage & Placement {
  return { ...image, window: rectangle(0, 0, image.width, image.height), weight: 1, ...place };
}

const composed = (...layers: BatchComposition['layers']): BatchComposition => ({ fill: FILL, layers });

/** The first channel of each pixel, in rows; the fill colour is 1. */
async function reds(size: Size, composition: BatchComposition): Promise<number[][]> {
  const pixels = await pixelsOf(size, composition);
  return Array.from({ length: size.height }, (_, y) =>
    Array.from({ length: size.width }, (_, x) => pixels[3 * (y * size.width + x)]!),
  );
}

const image = greys([
  [10, 20, 30, 40],
  [50, 60, 70, 80],
]);
const size = { width: 4, height: 2 };
const all = rectangle(0, 0, 4, 2);

describe('compose', () => {
  it('of a whole image in the whole area is the image resized, also where sizes do not divide', async () => {
    for (const [from, to] of [
      [
        { width: 33, height: 21 },
        { width: 12, height: 9 },
      ],
      [
        { width: 7, height: 5 },
        { width: 16, height: 11 },
      ],
      [
        { width: 640, height: 3 },
        { width: 97, height: 3 },
      ],
    ] as const) {
      for (const flip of [false, true]) {
        const whole = { data: imageOf('whole', from), ...from, flip };
        const resized = [...core.resizeBilinear(whole.data, from, to, flip)];
        const area = rectangle(0, 0, to.width, to.height);
        expect(await pixelsOf(to, whole)).toEqual(resized);
        expect(await pixelsOf(to, composed(layer(whole, { area })))).toEqual(resized);
      }
    }
  });

  it('shows a part of the image', async () => {
    const part = composed(layer(image, { window: rectangle(1, 0, 2, 2), area: rectangle(0, 0, 2, 2) }));
    expect(await reds({ width: 2, height: 2 }, part)).toEqual([
      [20, 30],
      [60, 70],
    ]);
  });

  it('mirrors what it shows', async () => {
    const part = layer({ ...image, flip: true }, { window: rectangle(-1, 0, 4, 2), area: all });
    expect(await reds(size, composed(part))).toEqual([
      [30, 20, 10, 1],
      [70, 60, 50, 1],
    ]);
  });

  it('has the fill colour, all three channels, where the window reaches beyond the image', async () => {
    const beyond = layer(image, { window: rectangle(-1, -1, 6, 4), area: rectangle(0, 0, 6, 4) });
    const pixels = await pixelsOf({ width: 6, height: 4 }, composed(beyond));
    expect(pixels.slice(0, 6)).toEqual([...FILL, ...FILL]);
    expect(await reds({ width: 6, height: 4 }, composed(beyond))).toEqual([
      [1, 1, 1, 1, 1, 1],
      [1, 10, 20, 30, 40, 1],
      [1, 50, 60, 70, 80, 1],
      [1, 1, 1, 1, 1, 1],
    ]);
  });

  it('is the fill colour alone when the window misses the image, or without layers', async () => {
    const misses = [rectangle(4, 0, 4, 2), rectangle(0, -2, 4, 2), rectangle(1e9, -1e9, 1, 1e12)];
    for (const window of misses) {
      expect(await reds(size, composed(layer(image, { window, area: all })))).toEqual([
        [1, 1, 1, 1],
        [1, 1, 1, 1],
      ]);
    }
    expect(await reds({ width: 2, height: 1 }, composed())).toEqual([[1, 1]]);
  });

  it('zooms out: a window of twice the sides shows the image at half its size', async () => {
    const zoomed = layer(image, { window: rectangle(0, 0, 8, 4), area: all });
    expect(await reds(size, composed(zoomed))).toEqual([
      [35, 55, 1, 1],
      [1, 1, 1, 1],
    ]);
  });

  it('puts layers in their areas, on the fill colour', async () => {
    const left = layer(greys([[10]]), { area: rectangle(0, 0, 1, 2) });
    const right = layer(greys([[20]]), { area: rectangle(2, 1, 2, 1) });
    expect(await reds(size, composed(left, right))).toEqual([
      [10, 1, 1, 1],
      [10, 1, 20, 20],
    ]);
  });

  it('mixes a layer, its fill colour included, with what is there by its weight', async () => {
    const under = layer(image, { area: all });
    const over = layer(greys([[100]]), { window: rectangle(0, 0, 2, 1), area: all, weight: 0.25 });
    expect(await reds(size, composed(under, over))).toEqual([
      [33, 40, 23, 30], // 7.5 + 25 rounds up, 15 + 25; 22.5 + .25, 30 + .25
      [63, 70, 53, 60],
    ]);
    expect(await reds(size, composed(layer(image, { area: all, weight: 0 })))).toEqual([
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ]);
  });

  it('changes the colours of the image, not of the fill', async () => {
    const photometric = { brightness: 2, contrast: 1, saturation: 1, hue: 0, contrastFirst: true, channels: [0, 1, 2] };
    const padded = layer(image, { window: rectangle(2, 0, 4, 2), area: all, photometric });
    expect(await reds(size, composed(padded))).toEqual([
      [60, 80, 1, 1],
      [140, 160, 1, 1],
    ]);
  });

  it('leaves its neighbours in the batch alone', async () => {
    const plain = { data: imageOf('plain', size), ...size, flip: false };
    const pixels = await pixelsOf(size, plain, composed(layer(image, { area: rectangle(3, 1, 1, 1) })), plain);
    expect(pixels.slice(0, 24)).toEqual([...plain.data]);
    expect(pixels.slice(48)).toEqual([...plain.data]);
  });
});
