import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage, type ImageInput, type RgbImage, readImageSize } from '../../../lib/images/image.ts';
import { MAX_IMAGE_PIXELS } from '../../../lib/images/limits.ts';
import { expectError, noise, pngOfSize, solid, temporaryFolder, writeFiles } from '../../support/voc.ts';

const grey = { r: 128, g: 128, b: 128 };

/** The first pixel, after a check that the image has one colour. */
async function onlyColour(input: ImageInput): Promise<number[]> {
  const { data, width, height } = await decodeImage(input);
  expect(data.length).toBe(width * height * 3);
  const colour = [...data.subarray(0, 3)];
  for (let at = 0; at < data.length; at += 3) expect([...data.subarray(at, at + 3)]).toEqual(colour);
  return colour;
}

describe('decodeImage', () => {
  it('gives rows of RGB from the top left', async () => {
    const pixels = Uint8Array.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const png = await sharp(pixels, { raw: { width: 3, height: 2, channels: 3 } })
      .png()
      .toBuffer();
    expect(await decodeImage(png)).toEqual({ data: pixels, width: 3, height: 2 });
    expect((await decodeImage(png)).data.constructor).toBe(Uint8Array);
  });

  it('tells the format by the content and not by the name', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a.png': await solid(7, 5).webp({ lossless: true }).toBuffer() });
    expect(await onlyColour(join(folder, 'a.png'))).toEqual([255, 128, 32]);
  });

  it.each<[string, () => Promise<Buffer>, number[], number]>([
    ['greyscale PNG', () => solid(8, 8, grey).toColourspace('b-w').png().toBuffer(), [128, 128, 128], 0],
    ['greyscale JPEG', () => solid(8, 8, grey).toColourspace('b-w').jpeg().toBuffer(), [128, 128, 128], 0],
    ['palette PNG', () => solid(8, 8).png({ palette: true }).toBuffer(), [255, 128, 32], 0],
    ['transparent PNG', () => solid(8, 8).ensureAlpha(0).png().toBuffer(), [255, 128, 32], 0],
    [
      'half transparent WebP',
      () => solid(8, 8).ensureAlpha(0.5).webp({ lossless: true }).toBuffer(),
      [255, 128, 32],
      0,
    ],
    ['CMYK JPEG', () => solid(8, 8).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer(), [245, 126, 1], 3],
    ['JPEG', () => solid(8, 8).jpeg({ quality: 100 }).toBuffer(), [255, 128, 32], 2],
  ])('converts a %s to 8-bit sRGB', async (_, make, expected, tolerance) => {
    const colour = await onlyColour(await make());
    colour.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(tolerance);
    });
  });

  it('takes the high byte of 16-bit images', async () => {
    const grey = Uint16Array.from([0, 0x0101 * 77, 0x0101 * 128, 65535]);
    const grey16 = await sharp(grey, { raw: { width: 4, height: 1, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expect((await sharp(grey16).metadata()).depth).toBe('ushort');
    expect([...(await decodeImage(grey16)).data]).toEqual([0, 77, 128, 255].flatMap((v) => [v, v, v]));
    const rgb = Uint16Array.from([0xffff, 0x8080, 0x2020]);
    const rgb16 = await sharp(rgb, { raw: { width: 1, height: 1, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect([...(await decodeImage(rgb16)).data]).toEqual([255, 128, 32]);
  });

  it('leaves an EXIF-rotated image as it is stored, or turns it upright on demand', async () => {
    const left = { input: await solid(4, 4, { r: 0, g: 0, b: 255 }).png().toBuffer(), left: 0, top: 0 };
    const image = await solid(8, 4).composite([left]).withMetadata({ orientation: 6 }).png().toBuffer();
    const stored = await decodeImage(image);
    expect([stored.width, stored.height]).toEqual([8, 4]);
    expect([...stored.data.subarray(0, 3)]).toEqual([0, 0, 255]);
    expect(await readImageSize(image)).toEqual({ width: 8, height: 4 });
    // Orientation 6: turn by 90 degrees clockwise, so that the left half comes to the top.
    const upright = await decodeImage(image, { autoOrient: true });
    expect([upright.width, upright.height]).toEqual([4, 8]);
    expect([...upright.data.subarray(0, 3)]).toEqual([0, 0, 255]);
    expect([...upright.data.subarray(-3)]).toEqual([255, 128, 32]);
  });

  it('copies raw pixels, so that the caller may reuse the buffer', async () => {
    const image: RgbImage = { data: Uint8Array.from([1, 2, 3, 4, 5, 6]), width: 1, height: 2 };
    const pending = decodeImage(image);
    image.data.fill(0);
    expect(await pending).toEqual({ data: Uint8Array.from([1, 2, 3, 4, 5, 6]), width: 1, height: 2 });
  });

  it('is not disturbed by changes to an encoded buffer while it works', async () => {
    const png = await solid(64, 64).png().toBuffer();
    const pending = onlyColour(png);
    png.fill(0);
    expect(await pending).toEqual([255, 128, 32]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a number', 42, /Expected path, Uint8Array or .* for image but received 42/],
    ['nothing', undefined, /for image but received undefined/],
    ['null', null, /for image but received null/],
    ['an empty path', '', /non-empty string for image/],
    ['an ArrayBuffer', new ArrayBuffer(4), /for image but received object/],
    ['pixels that are no bytes', { data: [1, 2, 3], width: 1, height: 1 }, /Uint8Array for data but received array/],
    ['a fractional width', { data: new Uint8Array(3), width: 1.5, height: 1 }, /integer >= 1 for width/],
    ['no height', { data: new Uint8Array(3), width: 1 }, /integer >= 1 for height/],
    ['no pixels', { data: new Uint8Array(0), width: 0, height: 0 }, /integer >= 1 for width but received 0/],
    [
      'RGBA',
      { data: new Uint8Array(16), width: 2, height: 2 },
      /Expected 12 bytes for data \(2 rows x 2 .*received 16/,
    ],
  ])('throws for %s', async (_, input, message) => {
    const errors = await Promise.allSettled([decodeImage(input as ImageInput), readImageSize(input as ImageInput)]);
    for (const error of errors) {
      const { reason } = error as PromiseRejectedResult;
      expect(reason instanceof TypeError || reason instanceof RangeError).toBe(true);
      expect(reason.message).toMatch(message);
    }
  });

  it('throws for wrong options', async () => {
    const png = await solid(1, 1).png().toBuffer();
    await expect(decodeImage(png, { autoorient: true } as object)).rejects.toThrow(/did you mean "autoOrient"/);
    await expect(decodeImage(png, { autoOrient: 1 } as never)).rejects.toThrow(TypeError);
  });
});

describe('files that are no image', () => {
  it('names a missing file, a directory and an empty file', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'empty.jpg': '' });
    for (const read of [decodeImage, readImageSize]) {
      await expectError(read(join(folder, 'none.jpg')), 'IMAGE_UNREADABLE', 'none.jpg', 'not exist');
      await expectError(read(folder), 'IMAGE_UNREADABLE', folder, 'directory');
      await expectError(read(join(folder, 'empty.jpg')), 'IMAGE_UNREADABLE', 'empty.jpg', '0 bytes');
      await expectError(read(new Uint8Array(0)), 'IMAGE_UNREADABLE', 'the image buffer', '0 bytes');
    }
  });

  it('keeps the cause', async () => {
    await expect(decodeImage('none.jpg')).rejects.toHaveProperty('cause.message', 'it does not exist');
  });

  it('does not read a file of a terabyte', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'huge.jpg': 'x' });
    await truncate(join(folder, 'huge.jpg'), 2 ** 40);
    await expectError(decodeImage(join(folder, 'huge.jpg')), 'IMAGE_UNREADABLE', '1099511627776 bytes');
  });

  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>';
  it.each<[string, () => Promise<Buffer> | Buffer, string]>([
    ['text', () => Buffer.from('this is not an image at all'), 'unknown'],
    ['SVG', () => Buffer.from(svg), 'SVG'],
    ['SVG after a declaration', () => Buffer.from(`\ufeff\n<?xml version="1.0"?>${svg}`), 'SVG'],
    ['GIF', () => solid(4, 4).gif().toBuffer(), 'GIF'],
    ['TIFF', () => solid(4, 4).tiff().toBuffer(), 'TIFF'],
    ['AVIF', () => solid(4, 4).avif().toBuffer(), 'AVIF'],
    ['BMP', () => Buffer.from('BM______________'), 'BMP'],
  ])('refuses %s, whatever its name', async (_, make, found) => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a.jpg': await make() });
    for (const read of [decodeImage, readImageSize]) {
      await expectError(read(join(folder, 'a.jpg')), 'IMAGE_UNSUPPORTED', 'a.jpg', 'JPEG, PNG or WebP', found);
    }
  });

  it.each([
    ['JPEG', '\xff\xd8\xff'],
    ['PNG', '\x89PNG\r\n\x1a\n'],
    ['WebP', 'RIFF\x00\x00\x00\x00WEBP'],
  ])('never renders an SVG that begins like a %s', async (_, start) => {
    const disguised = Buffer.from(start + svg, 'latin1');
    await expect(decodeImage(disguised)).rejects.toMatchObject({
      code: expect.stringMatching(/^IMAGE_UN(READABLE|SUPPORTED)$/),
    });
  });
});

describe('truncated files', () => {
  it.each(['jpeg', 'png', 'webp'] as const)('are unreadable wherever a %s is cut', async (format) => {
    const whole = await noise(601, 403).toFormat(format).toBuffer();
    const { data } = await decodeImage(whole);
    expect(data.length).toBe(601 * 403 * 3);
    // The last twelve bytes of a PNG hold no image.
    for (const missing of [13, 14, 100, 1000, whole.length >> 1, whole.length - 40, whole.length - 15]) {
      const cut = whole.subarray(0, whole.length - missing);
      await expect(decodeImage(cut), `${missing} bytes cut off`).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE' });
    }
  });

  it('are unreadable when a progressive JPEG ends after its first scans', async () => {
    const whole = await noise(200, 100).jpeg({ progressive: true }).toBuffer();
    const cut = whole.subarray(0, Math.floor(whole.length * 0.7));
    await expectError(decodeImage(cut), 'IMAGE_UNREADABLE', 'the image buffer');
    expect(await readImageSize(cut)).toEqual({ width: 200, height: 100 });
  });
});

describe('very large images', () => {
  it.each([
    [120_001, 1000, 'IMAGE_TOO_LARGE'],
    [1_000_000, 1_000_000, 'IMAGE_TOO_LARGE'],
    [2 ** 31 - 1, 2 ** 31 - 1, 'IMAGE_UNREADABLE'], // more than a PNG decoder takes for a header
  ] as const)('refuses a PNG of %d x %d by its header', async (width, height, code) => {
    const bomb = await pngOfSize(width, height);
    for (const read of [decodeImage, readImageSize]) await expectError(read(bomb), code, 'the image buffer');
  });

  it('says how large is too large', async () => {
    const bomb = await pngOfSize(12_000, 11_000);
    await expectError(decodeImage(bomb), 'IMAGE_TOO_LARGE', '12000 x 11000', '120 megapixels');
    const raw = { data: new Uint8Array(3), width: 12_000, height: 11_000 };
    await expectError(decodeImage(raw), 'IMAGE_TOO_LARGE', 'the raw image', '120 megapixels');
  });

  it('refuses a real image one row above the limit, and takes one at the limit', async () => {
    const png = (height: number) => solid(10_000, height).png({ compressionLevel: 1 }).toBuffer();
    await expectError(readImageSize(await png(12_001)), 'IMAGE_TOO_LARGE', '10000 x 12001');
    const { data } = await decodeImage(await png(12_000));
    expect(data.length).toBe(MAX_IMAGE_PIXELS * 3);
    expect([...data.subarray(-3)]).toEqual([255, 128, 32]);
  });

  it('takes another limit, and decodes large JPEGs at a reduced size that is large enough', async () => {
    const jpeg = await solid(9000, 6000).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    await expectError(
      decodeImage(jpeg, { maxPixels: 50e6 }),
      'IMAGE_TOO_LARGE',
      '9000 x 6000',
      '50 megapixels',
      'maxPixels',
    );
    const sizeOf = async (width: number, height: number) => {
      const image = await decodeImage(jpeg, { autoOrient: true, atLeast: { width, height } });
      expect(image.data.length).toBe(image.width * image.height * 3);
      return [image.width, image.height];
    };
    expect(await sizeOf(640, 640)).toEqual([750, 1125]);
    expect(await sizeOf(1280, 1280)).toEqual([1500, 2250]);
    expect(await sizeOf(4000, 4000)).toEqual([6000, 9000]);
    const small = await solid(900, 600).jpeg().toBuffer();
    expect(await decodeImage(small, { atLeast: { width: 1, height: 1 } })).toMatchObject({ width: 900, height: 600 });
  });
});
