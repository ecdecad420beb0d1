import { expect, it } from 'vitest';
import { toFloat16, toFloat16InSlices } from '../../../../lib/onnx/proto/float16.ts';

const one = (value: number) => toFloat16(Float32Array.of(value))[0];

/** The number that 16 bits stand for, by the definition of the format. */
function numberOf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

it('gives back every number of the format', () => {
  const every = Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => !Number.isNaN(numberOf(bits)));
  expect([...toFloat16(Float32Array.from(every, numberOf))]).toEqual(every);
});

it('rounds what lies between two to the nearer, and the middle to the even one', () => {
  for (let bits = 0; bits < 0x7bff; bits += 7) {
    const [low, high] = [numberOf(bits), numberOf(bits + 1)];
    expect(one(low + (high - low) * 0.499)).toBe(bits);
    expect(one(low + (high - low) * 0.501)).toBe(bits + 1);
    expect(one((low + high) / 2)).toBe(bits % 2 === 0 ? bits : bits + 1);
  }
});

it.each([
  [65519, 0x7bff],
  [65520, 0x7c00],
  [-1e9, 0xfc00],
  [Number.POSITIVE_INFINITY, 0x7c00],
  [Number.NaN, 0x7e00],
  [2 ** -25, 0],
  [2 ** -25 * 1.01, 1],
  [-1e-30, 0x8000],
])('%s is %i', (value, bits) => {
  expect(one(value)).toBe(bits);
});

it('gives the same in slices', () => {
  const values = Float32Array.from({ length: 200_001 }, (_, i) => (i - 100_000) / 999);
  const slices = toFloat16InSlices(values);
  let step = slices.next();
  let pauses = 0;
  for (; !step.done; step = slices.next()) pauses++;
  expect(pauses).toBe(4);
  expect(Buffer.from(step.value.buffer).equals(Buffer.from(toFloat16(values).buffer as ArrayBuffer))).toBe(true);
});
