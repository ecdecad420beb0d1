import type { Size } from '../../lib/boxes/box.ts';

/** Float32Array is float32, Int32Array int64 (labels, counts, indices), Uint8Array uint8. */
export interface Tensor<Data extends Float32Array | Int32Array | Uint8Array = Float32Array> {
  data: Data;
  shape: number[];
}

export function tensor(values: Iterable<number>, shape: number[]): Tensor {
  return { data: Float32Array.from(values), shape };
}

/** The i-th of the numbers in [-.5, .5) that follow from `name` alone; `uniform` in test/reference/reference.py makes the same. */
export function numbersOf(name: string): (i: number) => number {
  let seed = 2166136261;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 16777619);
  return (i) => {
    let x = (Math.imul(i, 0x9e3779b1) + seed) | 0;
    x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
    return ((x ^ (x >>> 13)) >>> 0) / 2 ** 32 - 0.5;
  };
}

export function uniform(name: string, length: number): Float64Array {
  const number = numbersOf(name);
  return new Float64Array(length).map((_, i) => number(i));
}

export function pattern(name: string, shape: number[], scale = 1, offset = 0): Tensor {
  const number = numbersOf(name);
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = offset + scale * number(i); // the large ConvNeXt has 196 million
  return { data, shape };
}

/** RGB, rows packed. */
export function imageOf(name: string, { width, height }: Size): Uint8Array {
  return Uint8Array.from(uniform(name, width * height * 3), (value) => Math.floor((value + 0.5) * 256));
}

/** A value for the parameter `name` that lets every layer count: `weight` in test/reference/reference.py. */
export function weight(name: string, shape: number[]): Tensor {
  if (name.endsWith('.gamma')) return pattern(name, shape, 0.5, 0.5);
  if (shape.length === 1) return name.endsWith('.weight') ? pattern(name, shape, 0.5, 1) : pattern(name, shape, 0.2);
  return pattern(name, shape, (12 / shape.slice(1).reduce((a, b) => a * b, 1)) ** 0.5);
}
