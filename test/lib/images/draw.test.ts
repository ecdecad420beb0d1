import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Detection } from '../../../lib/boxes/detection.ts';
import { type Annotation, annotateImage, drawDetections } from '../../../lib/images/draw.ts';
import type { RgbImage } from '../../../lib/images/image.ts';

const grey = (width: number, height: number): RgbImage => ({
  data: new Uint8Array(width * height * 3).fill(128),
  width,
  height,
});
const detection = (label: string, xmin: number, ymin: number, xmax: number, ymax: number, score = 0.9): Detection => ({
  label,
  score,
  box: { xmin, ymin, xmax, ymax },
});

async function draw(image: RgbImage, detections: Annotation[]) {
  const png = await annotateImage(image, detections, { format: 'png' });
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([image.width, image.height]);
  const pixel = (x: number, y: number) => [...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)];
  const isTouched = (x: number, y: number) => pixel(x, y).some((value) => value !== 128);
  /** Columns and rows that anything was drawn on, as [first, last]. */
  const extent = () => {
    const [xs, ys]: [number[], number[]] = [[], []];
    for (let y = 0; y < info.height; y++) {
      for (let x = 0; x < info.width; x++) {
        if (isTouched(x, y)) {
          xs.push(x);
          ys.push(y);
        }
      }
    }
    return { x: [Math.min(...xs), Math.max(...xs)], y: [Math.min(...ys), Math.max(...ys)], pixels: xs.length };
  };
  return { data, pixel, isTouched, extent };
}

describe('annotateImage', () => {
  it('draws the edges of the box and the label above it, and leaves the rest as it was', async () => {
    const { isTouched, extent } = await draw(grey(300, 200), [detection('cat', 100, 80, 200, 150)]);
    for (const [x, y] of [
      [100, 115],
      [199, 115],
      [150, 80],
      [150, 149],
    ] as const)
      expect(isTouched(x, y), `${x},${y}`).toBe(true);
    expect(isTouched(150, 115)).toBe(false);
    expect(isTouched(110, 75)).toBe(true);
    const { x, y } = extent();
    // One pixel of dark seam around the box; a label of 1.4 times the letters' 10 pixels on top of it.
    expect(x).toEqual([99, 200]);
    expect(y).toEqual([66, 150]);
  });

  it('shows no score where there is none to show', async () => {
    const { score: _, ...object } = detection('cat', 30, 40, 36, 90);
    const [bare, scored] = [
      await draw(grey(200, 150), [object]),
      await draw(grey(200, 150), [{ ...object, score: 1 }]),
    ];
    expect(bare.extent().x[1]).toBeLessThan(scored.extent().x[1]!);
    expect(bare.extent().y).toEqual(scored.extent().y);
  });

  it('keeps what it draws inside of the image', async () => {
    const image = grey(120, 60);
    const { extent, isTouched } = await draw(image, [
      detection('a long name of a class', 100, -20, 500, 500),
      detection('x', -50, 0, 5, 3),
    ]);
    expect(extent().x).toEqual([0, 119]);
    expect(isTouched(119, 30)).toBe(true);
    expect(isTouched(60, 59)).toBe(false);
    expect(isTouched(110, 59)).toBe(true);
  });

  it('gives a class the same colour everywhere, and others another', async () => {
    const corner = async (label: string, x: number) =>
      (await draw(grey(300, 200), [detection(label, x, 80, x + 50, 150)])).pixel(x, 120);
    expect(await corner('cat', 10)).toEqual(await corner('cat', 200));
    expect(await corner('dog', 10)).not.toEqual(await corner('cat', 10));
  });

  it('draws thicker lines in larger images', async () => {
    const edge = async (size: number) => {
      const { isTouched } = await draw(grey(size, size), [detection('cat', 50, 50, size - 50, size - 50)]);
      return Array.from({ length: 40 }, (_, i) => isTouched(size - 70 + i, size / 2)).filter(Boolean).length;
    };
    expect(await edge(300)).toBe(3); // one of colour, two of seam
    expect(await edge(1200)).toBe(6);
  });

  it('draws hostile names as text', async () => {
    const names = [
      '<script>alert(1)</script>',
      '&amp;"\'',
      ']]><image href="file:///etc/passwd"/>',
      '\u0000\u0007\ud800',
      '\u732b',
      'x'.repeat(100_000),
      '',
    ];
    for (const name of names) {
      const { extent } = await draw(grey(200, 100), [detection(name, 50, 50, 100, 90)]);
      expect(extent().pixels, name.slice(0, 20)).toBeGreaterThan(200);
    }
  });

  it('returns the image itself when there is nothing to draw', async () => {
    const image = grey(40, 30);
    const outside = [detection('a', 50, 50, 60, 60), detection('b', 9, 9, 9, 20), detection('c', Number.NaN, 0, 5, 5)];
    for (const detections of [[], outside]) expect((await draw(image, detections)).extent().pixels).toBe(0);
  });

  it('copes with the smallest image', async () => {
    expect((await draw(grey(1, 1), [detection('cat', 0, 0, 1, 1)])).data).toHaveLength(3);
  });

  it('encodes as JPEG unless asked otherwise, better with a higher quality', async () => {
    const image = grey(100, 100);
    const detections = [detection('cat', 10, 30, 90, 90)];
    const [low, high] = await Promise.all([10, 95].map((quality) => annotateImage(image, detections, { quality })));
    expect((await sharp(low).metadata()).format).toBe('jpeg');
    expect(high!.length).toBeGreaterThan(low!.length);
    expect((await sharp(await annotateImage(image, detections)).metadata()).format).toBe('jpeg');
  });

  it('does not change the pixels that it is given', async () => {
    const image = grey(100, 100);
    await annotateImage(image, [detection('cat', 10, 30, 90, 90)]);
    expect(image.data.every((value) => value === 128)).toBe(true);
  });

  it('refuses wrong arguments', async () => {
    const image = grey(10, 10);
    await expect(annotateImage({ ...image, width: 11 }, [])).rejects.toThrow('Expected 330 bytes of RGB');
    await expect(annotateImage(image, [], { quality: 0 })).rejects.toThrow(RangeError);
    await expect(annotateImage(image, [], { format: 'gif' as 'png' })).rejects.toThrow('one of jpeg, png');
    await expect(annotateImage(image, [], { colour: 'red' } as object)).rejects.toThrow('Unknown key "colour"');
  });
});

describe('drawDetections', () => {
  it('gives the pixels of what annotateImage encodes, and leaves the image as it was', async () => {
    const image = grey(120, 90);
    const detections = [detection('cat', 20, 30, 80, 70)];
    const { data } = await draw(image, detections);
    expect(await drawDetections(image, detections)).toEqual({ data, width: 120, height: 90 });
    expect(image.data.every((value) => value === 128)).toBe(true);
    expect(await drawDetections(image, [])).toBe(image);
  });

  it('shows the number of a followed object', async () => {
    const object = detection('cat', 20, 30, 80, 70);
    const [plain, numbered] = [await draw(grey(120, 90), [object]), await draw(grey(120, 90), [{ ...object, id: 12 }])];
    expect(numbered.extent().x[1]).toBeGreaterThan(plain.extent().x[1]!);
  });
});
