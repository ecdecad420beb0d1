/**
 * Counter-based randomness: a number is a function of what it is for, not of how many were drawn before it. So neither the order
 * of workers nor the place where a run was interrupted changes it. These functions must give the same numbers for ever, because
 * resumed runs depend on them.
 */

/** What a random number is used for; each use has its own stream. Never change or reuse a value. */
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
} as const;

/** The next number of a stream, in [0, 1). */
export type Draw = () => number;

/**
 * A number in [0, 1), a multiple of 2^-32. All arguments are integers >= 0; `seed` below 2^53, the others below 2^32.
 */
export function random(seed: number, epoch: number, sample: number, purpose: number): number {
  let hash = 0;
  for (const word of [seed, Math.floor(seed / 2 ** 32), purpose, epoch, sample]) {
    // 2^32 divided by the golden ratio: keeps zero words from leaving a zero hash as it is.
    hash = mix((hash ^ word) + 0x9e3779b9);
  }
  return hash / 2 ** 32;
}

/** Where the streams of a sample begin; `part` (0 to 7) tells apart the images of which one sample is made. */
export interface StreamKey {
  seed: number;
  epoch: number;
  sample: number;
  part: number;
}

/** As many numbers of one purpose (below 32) as are asked for; the first of part 0 is that of `random`. */
export function stream({ seed, epoch, sample, part }: StreamKey, purpose: number): Draw {
  let drawn = 0;
  return () => random(seed, epoch, sample, purpose + 32 * part + 256 * drawn++);
}

/** The numbers 0 to `length - 1` in random order: Fisher-Yates, from the end. */
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

/** A bijection of 32-bit words with little bias: constants found in https://github.com/skeeto/hash-prospector/issues/19 */
function mix(word: number): number {
  let hash = word;
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0xd35a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}
