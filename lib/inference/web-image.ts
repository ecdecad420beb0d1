import { wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import type { RgbImage } from '../images/image.ts';
import { MAX_IMAGE_PIXELS } from '../images/limits.ts';

/** An image that a page can draw: an `ImageBitmap`, `ImageData`, or an image, video or canvas element. */
export type DrawableImage = Readonly<Size>;

/** An image in a page: an image file (`Blob`, `File`), its URL, a drawable image, or pixels. */
export type WebImage = string | Blob | DrawableImage | RgbImage;

/** Of the page, as far as it is needed: this package is compiled without the types of browsers. */
interface Page {
  createImageBitmap(image: unknown, options: object): Promise<DrawableImage & { close(): void }>;
  OffscreenCanvas: new (width: number, height: number) => Canvas;
}

interface Canvas {
  getContext(kind: '2d', options: object): CanvasContext;
}

interface CanvasContext {
  drawImage(image: unknown, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
}

const page = globalThis as unknown as Page;

/**
 * The pixels of an image, decoded by the browser; transparency is dropped.
 * @throws DetectorError `IMAGE_UNREADABLE`, `IMAGE_TOO_LARGE`; TypeError for anything that is no `WebImage`
 */
export async function decodeWebImage(image: WebImage, autoOrient: boolean): Promise<RgbImage> {
  if (isRgb(image)) return image;
  const source = typeof image === 'string' ? await download(image) : image;
  if (source === null || typeof source !== 'object') throw new TypeError(wrongArgument('image', 'image', source));
  const imageOrientation = autoOrient ? 'from-image' : 'none';
  const bitmap = await page
    .createImageBitmap(source, { imageOrientation, premultiplyAlpha: 'none' })
    .catch((error: unknown) => {
      throw unreadable(messageOf(error), error);
    });
  try {
    return readPixels(bitmap);
  } finally {
    bitmap.close();
  }
}

function readPixels(bitmap: DrawableImage): RgbImage {
  const { width, height } = bitmap;
  if (width * height > MAX_IMAGE_PIXELS) {
    const most = `${MAX_IMAGE_PIXELS / 1e6} megapixels`;
    throw new DetectorError(
      'IMAGE_TOO_LARGE',
      `The image has ${width} x ${height} pixels, more than the ${most} allowed`,
    );
  }
  const context = new page.OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    data[to++] = rgba[from]!;
    data[to++] = rgba[from + 1]!;
    data[to++] = rgba[from + 2]!;
  }
  return { data, width, height };
}

async function download(url: string): Promise<Blob> {
  const response = await fetch(url).catch((error: unknown) => {
    throw unreadable(`${url}: ${messageOf(error)}`, error);
  });
  if (!response.ok) throw unreadable(`${url} answers with status ${response.status}`);
  return await response.blob();
}

function isRgb(image: WebImage): image is RgbImage {
  const { data, width, height } = image as Partial<RgbImage>;
  return data instanceof Uint8Array && data.length === width! * height! * 3;
}

function unreadable(reason: string, cause?: unknown): DetectorError {
  return new DetectorError('IMAGE_UNREADABLE', `Cannot read the image: ${reason}`, { cause });
}
