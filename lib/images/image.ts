import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { checkBoolean, checkInteger, checkKeys, checkString, wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import { readBoundedFile, readFileStart } from '../files/bounded-file.ts';
import { type ImageHeader, parseImageHeader } from './image-header.ts';
import { MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE } from './limits.ts';

/** 8-bit sRGB pixels: `data` has `height * width * 3` bytes, row by row from the top, red first. */
export interface RgbImage {
  data: Uint8Array;
  width: number;
  height: number;
}

/** The path of an image file, the bytes of one, or its pixels. */
export type ImageInput = string | Uint8Array | RgbImage;

export interface DecodeOptions {
  /**
   * Turn the image upright by its EXIF orientation, as people see it. Default false: the pixels as they are stored.
   */
  autoOrient?: boolean;
  /** The largest image accepted, in pixels; default 120 megapixels. */
  maxPixels?: number;
  /**
   * Pixels of the upright image that are needed at least. A large image (above 50 megapixels) may be decoded at a half, a quarter or an
   * eighth of its width and height that has as many. Default: all of them.
   */
  atLeast?: { width: number; height: number };
}

/** Of larger images no more pixels are decoded than are asked for, where the decoder can leave some out. */
const LARGE_PIXELS = 50e6;

/** More than photographs of 120 megapixels have. */
const MAX_FILE_BYTES = 512 * 1024 ** 2;

/** How files of known formats begin, bytes read as Latin-1. Only the accepted ones ever reach a decoder. */
const SIGNATURES: readonly [format: string, start: RegExp][] = [
  ['jpeg', /^\xff\xd8\xff/],
  ['png', /^\x89PNG\r\n\x1a\n/],
  ['webp', /^RIFF....WEBP/s],
  ['GIF', /^GIF8/],
  ['TIFF', /^(II\*\0|MM\0\*)/],
  ['BMP', /^BM/],
  ['AVIF or HEIF', /^....ftyp/s],
  ['SVG, XML or HTML', /^(\xef\xbb\xbf)?\s*</],
];
const ACCEPTED: readonly string[] = ['jpeg', 'png', 'webp'];

/**
 * Decodes a JPEG, PNG or WebP image (told by content, not by name; the first frame of an animation) to 8-bit sRGB. Grey, palette,
 * CMYK and 16-bit images are converted, transparency is dropped. Raw pixels are checked and copied, so that the caller may reuse
 * the buffer at once.
 *
 * Rejects with `DetectorError`: `IMAGE_UNREADABLE` (missing, a directory, empty, truncated, corrupt), `IMAGE_UNSUPPORTED` (another
 * format), `IMAGE_TOO_LARGE` (above 120 megapixels); with `TypeError` or `RangeError` for anything that is not an `ImageInput`.
 */
export async function decodeImage(input: ImageInput, options: DecodeOptions = {}): Promise<RgbImage> {
  checkKeys('options', options, ['autoOrient', 'maxPixels', 'atLeast']);
  const autoOrient = checkBoolean('autoOrient', options.autoOrient ?? false);
  const maxPixels = checkInteger('maxPixels', options.maxPixels ?? MAX_IMAGE_PIXELS, 1);
  if (isRgbImage(input)) return copyRgb(input);
  const { name, bytes } = await readEncoded(input);
  const header = await readHeader(name, bytes, maxPixels);
  return await decodeBytes(name, bytes, { autoOrient, size: reducedSize(header, autoOrient, options.atLeast) });
}

/** The size to decode a large image at; undefined for its own. */
function reducedSize(
  { width, height, orientation }: ImageHeader,
  autoOrient: boolean,
  atLeast?: Size,
): Size | undefined {
  if (atLeast === undefined || width * height <= LARGE_PIXELS) return undefined;
  const upright = autoOrient && orientation >= 5 ? { width: height, height: width } : { width, height };
  const factor = [8, 4, 2].find(
    (each) => upright.width / each >= atLeast.width && upright.height / each >= atLeast.height,
  );
  if (factor === undefined) return undefined;
  return { width: Math.ceil(upright.width / factor), height: Math.ceil(upright.height / factor) };
}

async function decodeBytes(
  name: string,
  bytes: Uint8Array,
  { autoOrient, size }: { autoOrient: boolean; size: Size | undefined },
): Promise<RgbImage> {
  try {
    // The header was compared with the limit.
    const file = await openWithSharp(bytes, { autoOrient, limitInputPixels: false });
    const pipeline = size ? file.resize({ ...size, fit: 'fill' }) : file;
    const { data, info } = await pipeline
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return {
      data: new Uint8Array(data.buffer, data.byteOffset, data.length),
      width: info.width,
      height: info.height,
    };
  } catch (error) {
    throw unreadable(name, error);
  }
}

/** Width and height of the stored pixels, from the header alone. Rejects as `decodeImage` does, but cannot see truncation. */
export async function readImageSize(input: ImageInput): Promise<{ width: number; height: number }> {
  if (isRgbImage(input)) {
    checkRgb(input);
    return { width: input.width, height: input.height };
  }
  const { name, bytes } = await readEncoded(input);
  const { width, height } = await readHeader(name, bytes);
  return { width, height };
}

function isRgbImage(input: ImageInput): input is RgbImage {
  if (typeof input === 'string' || input instanceof Uint8Array) return false;
  if (input !== null && typeof input === 'object' && 'data' in input) return true;
  throw new TypeError(wrongArgument('image', 'path, Uint8Array or { data, width, height }', input));
}

function checkRgb({ data, width, height }: RgbImage): void {
  checkInteger('width', width, 1);
  checkInteger('height', height, 1);
  checkPixels('the raw image', width, height);
  if (!(data instanceof Uint8Array)) throw new TypeError(wrongArgument('data', 'Uint8Array', data));
  const expected = height * width * 3;
  if (data.length !== expected) {
    throw new RangeError(
      `Expected ${expected} bytes for data (${height} rows x ${width} columns x 3 channels) but received ${data.length}`,
    );
  }
}

function copyRgb(image: RgbImage): RgbImage {
  checkRgb(image);
  return { data: new Uint8Array(image.data), width: image.width, height: image.height };
}

/** Refuses bytes that are longer than any image, before they are copied. @throws {DetectorError} `IMAGE_TOO_LARGE` */
export function checkImageBytes(bytes: Uint8Array): void {
  if (bytes.length <= MAX_FILE_BYTES) return;
  throw new DetectorError(
    'IMAGE_TOO_LARGE',
    `Cannot take the image buffer: it has ${bytes.length} bytes, more than the ${MAX_FILE_BYTES} allowed`,
  );
}

async function readEncoded(input: string | Uint8Array): Promise<{ name: string; bytes: Uint8Array }> {
  if (typeof input !== 'string') {
    checkImageBytes(input);
    // A copy: what is checked must be what is decoded, whatever the caller does to the buffer meanwhile.
    return { name: 'the image buffer', bytes: new Uint8Array(input) };
  }
  const name = `image "${checkString('image', input)}"`;
  try {
    return { name, bytes: await readBoundedFile(input, MAX_FILE_BYTES) };
  } catch (error) {
    throw unreadable(name, error);
  }
}

/**
 * Looks at an image file without keeping its pixels. With `verify` it is decoded once, which finds exactly what decoding would fail on
 * later. Rejects as `decodeImage` does.
 */
export async function inspectImage(path: string, verify: boolean, maxPixels = MAX_IMAGE_PIXELS): Promise<ImageHeader> {
  const begun = verify ? undefined : await readBeginning(path, maxPixels);
  if (begun) return begun;
  const { name, bytes } = await readEncoded(path);
  const header = await readHeader(name, bytes, maxPixels);
  const size = reducedSize(header, false, { width: 1, height: 1 });
  if (verify) await decodeBytes(name, bytes, { autoOrient: false, size });
  return header;
}

/** The header of most files lies in so much of them. */
const BEGINNING_BYTES = 64 * 1024;
/** The header, from the first bytes of the file alone; undefined where they are not enough to tell. */
async function readBeginning(path: string, maxPixels: number): Promise<ImageHeader | undefined> {
  const bytes = await readFileStart(path, BEGINNING_BYTES).catch(() => undefined);
  const header = bytes && parseImageHeader(bytes);
  if (header) checkPixels(`image "${path}"`, header.width, header.height, maxPixels);
  return header;
}

/** Refuses what is not to be decoded; answers with the size of the stored pixels. */
async function readHeader(name: string, bytes: Uint8Array, maxPixels = MAX_IMAGE_PIXELS): Promise<ImageHeader> {
  if (bytes.length === 0) throw new DetectorError('IMAGE_UNREADABLE', `Cannot read ${name}: it is empty (0 bytes)`);
  const start = Buffer.from(bytes.subarray(0, 256)).toString('latin1');
  const format = SIGNATURES.find(([, signature]) => signature.test(start))?.[0];
  if (format === undefined || !ACCEPTED.includes(format)) throw unsupported(name, format ?? 'unknown');
  // No limit for a look at the header: the check below has the clearer message.
  const file = await openWithSharp(bytes, { limitInputPixels: false });
  const header = await file.metadata().catch((error) => {
    throw unreadable(name, error);
  });
  // A file can be made to look like two formats: the decoder's opinion counts as well.
  if (header.format !== format) throw unsupported(name, header.format);
  checkPixels(name, header.width, header.height, maxPixels);
  checkDecodedBytes(name, header, maxPixels);
  return { width: header.width, height: header.height, orientation: header.orientation ?? 1 };
}

let loadingSharp: Promise<typeof import('sharp')> | undefined;

/** sharp is loaded on first use: importing the library loads nothing native. */
async function openWithSharp(bytes: Uint8Array, options: SharpOptions): Promise<Sharp> {
  loadingSharp ??= import('sharp');
  const { default: sharp } = await loadingSharp;
  // Truncated data is an error instead of grey rows.
  return sharp(bytes, { failOn: 'error', ...options });
}

function checkPixels(name: string, width: number, height: number, maxPixels = MAX_IMAGE_PIXELS): void {
  const side = Math.max(width, height);
  if (side > MAX_IMAGE_SIDE) {
    throw new DetectorError(
      'IMAGE_TOO_LARGE',
      `Cannot take ${name}: a side of ${side} pixels is more than the ${MAX_IMAGE_SIDE} allowed. Cut it into parts`,
    );
  }
  if (width * height <= maxPixels) return;
  throw new DetectorError(
    'IMAGE_TOO_LARGE',
    `Cannot take ${name}: ${width} x ${height} pixels are more than the ${maxPixels / 1e6} megapixels allowed. Make it smaller, or raise maxPixels (--max-pixels) where a data set is opened`,
  );
}

/** What the decoder holds before it is converted: 16-bit channels take twice as much. */
function checkDecodedBytes(name: string, { width, height, channels, depth }: Metadata, maxPixels: number): void {
  const bytes = width * height * channels * (depth === 'uchar' ? 1 : 2);
  const most = 4 * maxPixels;
  if (bytes <= most) return;
  throw new DetectorError(
    'IMAGE_TOO_LARGE',
    `Cannot take ${name}: it unpacks to ${bytes} bytes, more than the ${most} allowed. Make it smaller, or save it with 8 bits a channel`,
  );
}

function unsupported(name: string, format: string): DetectorError {
  return new DetectorError(
    'IMAGE_UNSUPPORTED',
    `Cannot read ${name}: expected the content of a JPEG, PNG or WebP file, found format ${format}. Convert it first`,
  );
}

function unreadable(name: string, cause: unknown): DetectorError {
  const reason = messageOf(cause).trim().split('\n')[0];
  return new DetectorError('IMAGE_UNREADABLE', `Cannot read ${name}: ${reason}`, { cause });
}
