/** A whole number from 0 to `below - 1`. */
export type Draw = (below: number) => number;

/** Values at which sizes and counts go wrong, cut to the width that they are written in. */
const LENGTHS = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 53n,
  (1n << 64n) - 1n,
];
const NUMBERS = [
  '-1',
  '0',
  '1e309',
  '-0.5',
  'NaN',
  '9007199254740993',
  '18446744073709551616',
  '""',
  'null',
  '[]',
  '{}',
];

/** Damages bytes in one to four ways. `others` give pieces of sound files to splice in. */
export function mutate(bytes: Buffer, others: readonly Buffer[], draw: Draw): Buffer {
  let mutant: Buffer = Buffer.from(bytes);
  for (let times = 1 + draw(4); times > 0; times--) {
    if (mutant.length > 0) mutant = WAYS[draw(WAYS.length)]!(mutant, others[draw(others.length)]!, draw);
  }
  return mutant;
}

const WAYS: readonly ((bytes: Buffer, other: Buffer, draw: Draw) => Buffer)[] = [
  flipBits,
  flipBits,
  writeLength,
  writeLength,
  writeNumber,
  splice,
  repeat,
  truncate,
];

function flipBits(bytes: Buffer, _: Buffer, draw: Draw): Buffer {
  for (let times = 1 + draw(8); times > 0; times--) bytes[place(bytes, draw)]! ^= 1 << draw(8);
  return bytes;
}

/** One to eight bytes, little-endian, become an edge case, or what was there plus or minus one. */
function writeLength(bytes: Buffer, _: Buffer, draw: Draw): Buffer {
  const width = Math.min(2 ** draw(4), bytes.length);
  const at = Math.min(place(bytes, draw), bytes.length - width);
  let old = 0n;
  for (let i = width; i-- > 0; ) old = (old << 8n) | BigInt(bytes[at + i]!);
  const lengths = [...LENGTHS, old + 1n, old - 1n, BigInt(bytes.length)];
  let value = BigInt.asUintN(8 * width, lengths[draw(lengths.length)]!);
  for (let i = 0; i < width; i++, value >>= 8n) bytes[at + i] = Number(value & 0xffn);
  return bytes;
}

/** A number written in digits becomes an edge case. */
function writeNumber(bytes: Buffer, _: Buffer, draw: Draw): Buffer {
  const numbers = [...bytes.toString('latin1').matchAll(/\d+/g)];
  const chosen = numbers[draw(Math.max(1, numbers.length))];
  if (!chosen) return bytes;
  const end = chosen.index + chosen[0].length;
  return Buffer.concat([
    bytes.subarray(0, chosen.index),
    Buffer.from(NUMBERS[draw(NUMBERS.length)]!),
    bytes.subarray(end),
  ]);
}

/** A piece of another file goes in, over what is there or between. */
function splice(bytes: Buffer, other: Buffer, draw: Draw): Buffer {
  const [at, begin] = [place(bytes, draw), draw(other.length)];
  const piece = other.subarray(begin, begin + 1 + draw(200));
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(draw(2) ? at : at + piece.length)]);
}

/** A piece comes many times. */
function repeat(bytes: Buffer, _: Buffer, draw: Draw): Buffer {
  const at = place(bytes, draw);
  const piece = bytes.subarray(at, at + 1 + draw(64));
  const copies = Array.from({ length: 1 + draw(draw(8) ? 4 : 2000) }, () => piece);
  return Buffer.concat([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
}

/** The end goes, or a piece in the middle. */
function truncate(bytes: Buffer, _: Buffer, draw: Draw): Buffer {
  const at = place(bytes, draw);
  return draw(2) ? bytes.subarray(0, at) : Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + draw(64))]);
}

/** Anywhere, or near the beginning or end, where formats keep their structure. */
function place(bytes: Buffer, draw: Draw): number {
  const near = Math.min(bytes.length, 100);
  return [draw(bytes.length), draw(near), bytes.length - 1 - draw(near)][draw(3)]!;
}
