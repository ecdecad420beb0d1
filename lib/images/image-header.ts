/** The header of an image file. */
export interface ImageHeader {
  /** The width of the stored pixels. */
  width: number;
  /** The height of the stored pixels. */
  height: number;
  /** EXIF's number from 1 (upright) to 8; 5 to 8 exchange width and height. */
  orientation: number;
}

/**
 * Reads size and orientation from the first bytes of a JPEG, PNG or WebP file. The decoder takes five times as long. Undefined if the
 * bytes do not suffice or hold anything rare: ask the decoder then.
 */
export function parseImageHeader(bytes: Buffer): ImageHeader | undefined {
  try {
    if (bytes.readUInt16BE(0) === 0xffd8) return jpegHeader(bytes);
    if (bytes.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n') return pngHeader(bytes);
    if (/^RIFF....WEBP/s.test(bytes.toString('latin1', 0, 12))) return webpHeader(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the header goes on beyond the bytes
  }
  return undefined;
}

/** Segments up to the first scan: a start of frame has the size, APP1 may have EXIF data. */
function jpegHeader(bytes: Buffer): ImageHeader | undefined {
  let size: { width: number; height: number } | undefined;
  let orientation = 1;
  for (let at = 2; ; ) {
    if (bytes.readUInt8(at) !== 0xff) return undefined;
    const marker = bytes.readUInt8(at + 1);
    if (marker === 0xda) return size && size.width * size.height > 0 ? { ...size, orientation } : undefined;
    const length = bytes.readUInt16BE(at + 2);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame && size) return undefined;
    if (isFrame) size = { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    if (marker === 0xe1 && bytes.toString('latin1', at + 4, at + 10) === 'Exif\0\0') {
      const found = orientationOf(bytes.subarray(at + 10, at + 2 + length));
      if (found === undefined || orientation !== 1) return undefined;
      orientation = found;
    }
    if (length < 2) return undefined;
    at += 2 + length;
  }
}

/** Chunks up to the pixels. */
function pngHeader(bytes: Buffer): ImageHeader | undefined {
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  let orientation: number | undefined = 1;
  for (let at = 8; ; ) {
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (at === 8 && type !== 'IHDR') return undefined;
    if (type === 'IDAT')
      return orientation !== undefined && width > 0 && height > 0 ? { width, height, orientation } : undefined;
    // Some programs put EXIF data into texts.
    if (type === 'tEXt' || type === 'zTXt' || type === 'iTXt') return undefined;
    if (type === 'eXIf') orientation = orientationOf(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
}

/** A still image without EXIF data, which would stand behind the pixels. */
function webpHeader(bytes: Buffer): ImageHeader | undefined {
  const kind = bytes.toString('latin1', 12, 16);
  if (kind === 'VP8 ' && bytes.readUIntBE(23, 3) === 0x9d012a) {
    return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff, orientation: 1 };
  }
  if (kind === 'VP8L' && bytes.readUInt8(20) === 0x2f) {
    const bits = bytes.readUInt32LE(21);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1, orientation: 1 };
  }
  const [EXIF, ANIMATION] = [8, 2];
  if (kind !== 'VP8X' || (bytes.readUInt8(20) & (EXIF | ANIMATION)) !== 0) return undefined;
  return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1, orientation: 1 };
}

const ORIENTATION = 0x0112;
const SHORT = 3;

/** The orientation in EXIF data, a TIFF directory: 1 where there is none, undefined for anything but 1 to 8. */
function orientationOf(exif: Buffer): number | undefined {
  const order = exif.toString('latin1', 0, 4);
  if (order !== 'II*\0' && order !== 'MM\0*') return undefined;
  const [u16, u32] =
    order === 'II*\0'
      ? [(at: number) => exif.readUInt16LE(at), (at: number) => exif.readUInt32LE(at)]
      : [(at: number) => exif.readUInt16BE(at), (at: number) => exif.readUInt32BE(at)];
  const directory = u32(4);
  const count = u16(directory);
  for (let entry = directory + 2; entry < directory + 2 + 12 * count; entry += 12) {
    if (u16(entry) !== ORIENTATION) continue;
    const value = u16(entry + 8);
    return u16(entry + 2) === SHORT && u32(entry + 4) === 1 && value >= 1 && value <= 8 ? value : undefined;
  }
  return 1;
}
