/** IEEE 754 binary16 of each number, to the nearest, ties to even; what is too large becomes infinite. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, float16Bits);
}

/** The same, with pauses: there may be many millions. */
export function* toFloat16InSlices(values: Float32Array): Generator<void, Uint16Array<ArrayBuffer>> {
  const result = new Uint16Array(values.length);
  for (let begin = 0; begin < values.length; begin += SLICE, yield) {
    result.set(toFloat16(values.subarray(begin, begin + SLICE)), begin);
  }
  return result;
}

const SLICE = 2 ** 16;

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // not a number
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  if (magnitude < 0x33000000) return sign; // below half of the smallest
  const exponent = magnitude >>> 23;
  // The bits that are lost: 13 of a normal number, more of one below 2^-14, whose leading 1 is written then.
  const lost = exponent > 112 ? 13 : 126 - exponent;
  const whole = exponent > 112 ? magnitude - 0x38000000 : (magnitude & 0x7fffff) | 0x800000;
  const kept = whole >>> lost;
  const rest = whole & ((1 << lost) - 1);
  const half = 1 << (lost - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}
