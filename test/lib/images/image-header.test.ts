import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { parseImageHeader } from '../../../lib/images/image-header.ts';
import { noise, solid } from '../../support/voc.ts';

const encoded = (orientation: number) => {
  const image = orientation === 0 ? solid(61, 43) : solid(61, 43).withMetadata({ orientation });
  return {
    jpeg: image.clone().jpeg(),
    'progressive jpeg': image.clone().jpeg({ progressive: true }),
    'grey jpeg': image.clone().greyscale().jpeg(),
    'cmyk jpeg': image.clone().toColourspace('cmyk').jpeg(),
    png: image.clone().png(),
    'palette png': image.clone().png({ palette: true }),
    '16-bit png': image.clone().toColourspace('rgb16').png(),
    'lossy webp': image.clone().webp(),
    'lossless webp': image.clone().webp({ lossless: true }),
    'webp with alpha': image.clone().ensureAlpha(0.5).webp(),
  };
};

describe.each(Object.keys(encoded(0)) as (keyof ReturnType<typeof encoded>)[])('%s', (kind) => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])('is read as the decoder reads it: orientation %d', async (orientation) => {
    const bytes = await encoded(orientation)[kind].toBuffer();
    const { width, height, orientation: known = 1 } = await sharp(bytes).metadata();
    const header = parseImageHeader(bytes);
    // The EXIF data of a WebP file stand behind its pixels: the decoder is asked.
    if (header === undefined) expect(kind).toContain('webp');
    else expect(header).toEqual({ width, height, orientation: known });
    if (orientation === 0) expect(header).toBeDefined();
  });

  it('is not told from a part of the header, and never wrongly', async () => {
    const bytes = await encoded(6)[kind].toBuffer();
    const whole = parseImageHeader(bytes);
    for (let length = 0; length < bytes.length; length++) {
      const header = parseImageHeader(bytes.subarray(0, length));
      if (header !== undefined && JSON.stringify(header) !== JSON.stringify(whole))
        expect(header, `${length}`).toEqual(whole);
    }
  });
});

it('stays with what it knows for any damage: no other error, and no size that is none', async () => {
  const seeds = await Promise.all([
    solid(61, 43).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    solid(61, 43).withMetadata({ orientation: 3 }).png().toBuffer(),
    noise(61, 43).webp().toBuffer(),
  ]);
  for (const seed of seeds) {
    for (let at = 0; at < Math.min(seed.length, 400); at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const bytes = Buffer.from(seed);
        bytes[at] = value;
        const header = parseImageHeader(bytes);
        if (header) expect([header.orientation >= 1, header.orientation <= 8]).toEqual([true, true]);
      }
    }
  }
});
