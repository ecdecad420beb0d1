/**
 * Counter-based random numbers: a number depends only on its use, not on the numbers drawn before it. The order of workers and an
 * interrupted
 * run therefore change nothing. These functions must return the same numbers forever, because resumed runs depend on them.
 */

/** The uses of random numbers. Each use has its own stream. Never change or reuse a value. */
export const PURPOSE = {
  shuffle: 1,
  flip: 2,
  photometricDistort: 3,
  zoomOut: 4,
  scaleJitter: 5,
  iouCrop: 6,
  mosaic: 7,
  mixup: 8,
  dropPath: 9,
  multiscale: 10,
} as const;

/** The next number of a stream, in [0, 1). */
export type Draw = () => number;

/** A random number in [0, 1), a multiple of 2^-32. All arguments are integers >= 0: `seed` below 2^53, the others below 2^32. */
export function random(seed: number, epoch: number, sample: number, purpose: number): number {
  let hash = 0;
  for (const word of [seed, Math.floor(seed / 2 ** 32), purpose, epoch, sample]) {
    // 2^32 divided by the golden ratio. Without it, zero words would leave a zero hash unchanged.
    hash = mix((hash ^ word) + 0x9e3779b9);
  }
  return hash / 2 ** 32;
}

/** The start of a sample's streams. `part` (0 to 7) distinguishes the images that make up one sample. */
export interface StreamKey {
  seed: number;
  epoch: number;
  sample: number;
  part: number;
}

/** A stream of random numbers for one purpose (below 32). The first number of part 0 equals that of `random`. */
export function stream({ seed, epoch, sample, part }: StreamKey, purpose: number): Draw {
  let drawn = 0;
  return () => random(seed, epoch, sample, purpose + 32 * part + 256 * drawn++);
}

/** The numbers 0 to `length - 1` in random order (Fisher-Yates shuffle, from the end). */
export function permutation(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last--) {
    const chosen = Math.floor(random(seed, epoch, last, PURPOSE.shuffle) * (last + 1));
    const moved = order[chosen]!;
    order[chosen] = order[last]!;
    order[last] = moved;
  }
  return order;
}

/** A bijection of 32-bit words with little bias. The constants are from https://github.com/skeeto/hash-prospector/issues/19 */
function mix(word: number): number {
  let hash = word;
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0xd35a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}
