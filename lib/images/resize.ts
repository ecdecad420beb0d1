import type { Size } from '../boxes/box.ts';
import type { RgbImage } from './image.ts';

/**
 * Resizes like OpenCV's INTER_LINEAR for 8-bit images, equal to native/data/resize.cc to the last bit. It has half-pixel centres, no
 * antialiasing and 11-bit fixed-point weights. It serves programs without the addon.
 */

const CHANNELS = 3;
const ONE = 2048;

/** The two source positions for one target position, and their weights. */
interface Tap {
  low: number;
  high: number;
  lowWeight: number;
  highWeight: number;
}

/** Resizes the whole image and returns its RGB pixels, rows packed. */
export function resizeBilinear({ data, width, height }: RgbImage, target: Size): Uint8Array {
  const columns = makeTaps(width, target.width);
  const rows = makeTaps(height, target.height);
  const stride = target.width * CHANNELS;
  const result = new Uint8Array(target.height * stride);
  const resized = new Map<number, Int32Array>();
  const rowOf = (y: number): Int32Array => {
    const known = resized.get(y);
    if (known) return known;
    const row = resizeRow(data.subarray(y * width * CHANNELS, (y + 1) * width * CHANNELS), columns);
    resized.set(y, row);
    return row;
  };
  rows.forEach((tap, y) => {
    for (const held of resized.keys()) if (held < tap.low) resized.delete(held);
    const [low, high] = [rowOf(tap.low), rowOf(tap.high)];
    const begin = y * stride;
    for (let i = 0; i < stride; i++) {
      const fromLow = (tap.lowWeight * low[i]!) >> 16;
      const fromHigh = (tap.highWeight * high[i]!) >> 16;
      result[begin + i] = (fromLow + fromHigh + 2) >> 2;
    }
  });
  return result;
}

function makeTaps(source: number, target: number): Tap[] {
  const step = source / target;
  const inside = (position: number) => Math.min(Math.max(position, 0), source - 1);
  return Array.from({ length: target }, (_, i) => {
    const position = Math.fround((i + 0.5) * step - 0.5);
    const low = Math.floor(position);
    const fraction = Math.fround(position - low);
    return {
      low: inside(low),
      high: inside(low + 1),
      lowWeight: roundToEven(Math.fround(1 - fraction) * ONE),
      highWeight: roundToEven(fraction * ONE),
    };
  });
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Resizes a row horizontally. The result has the weights' scale divided by 16. */
function resizeRow(row: Uint8Array, taps: readonly Tap[]): Int32Array {
  const mixed = new Int32Array(taps.length * CHANNELS);
  let at = 0;
  for (const { low, high, lowWeight, highWeight } of taps) {
    for (let c = 0; c < CHANNELS; c++) {
      mixed[at++] = (row[low * CHANNELS + c]! * lowWeight + row[high * CHANNELS + c]! * highWeight) >> 4;
    }
  }
  return mixed;
}
