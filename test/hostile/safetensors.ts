import type { HostileFile } from './hostile-file.ts';

/** Files that break a rule of the safetensors format, or a limit of its reader here. */

/** A file of this header text and so many bytes of data. */
export function file(header: string | Buffer, dataBytes: number, claimed?: bigint): Buffer {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

export const entry = (begin: number, end: number, more: object = {}) => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
  ...more,
});

const json = (value: unknown) => JSON.stringify(value);

/** An object of a million bytes. */
function many(item: (index: number) => string): string {
  return `{${Array.from({ length: Math.floor(1e6 / (item(1e5).length + 1)) }, (_, index) => item(index)).join(',')}}`;
}

export const hostileSafetensors: readonly HostileFile[] = [
  ['an empty file', () => Buffer.alloc(0), 'unknown format'],
  ['a header longer than the file', () => file('{}', 0, 1000n), 'unknown format'],
  [
    'a header above the cap',
    () => file(`{${' '.repeat(2 ** 20)}}`, 0),
    'claims 1048578 bytes, above the limit of 1048576 (the format allows 100 MB',
  ],
  [
    "a header at the format's own cap",
    () => file(`{${' '.repeat(1e8 - 2)}}`, 0),
    'claims 100000000 bytes, above the limit',
  ],
  [
    'tensors without number',
    () =>
      file(
        many((i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`),
        0,
      ),
    'more than 50000 keys',
  ],
  ['metadata without number', () => file(`{"__metadata__":${many((i) => `"${i}":""`)}}`, 0), 'more than 50000 keys'],
  ['a header nested 100,000 deep', () => file('{"a":'.repeat(1e5) + '}'.repeat(1e5), 0), 'nested too deeply'],
  [
    'a shape nested 100,000 deep',
    () => file(`{"a":{"shape":${'['.repeat(1e5)}${']'.repeat(1e5)}}}`, 0),
    'nested too deeply',
  ],
  ['a header of 2^64-1 bytes', () => file('{}', 0, 2n ** 64n - 1n), 'unknown format'],
  ['an empty header', () => file('', 0), 'unknown format'],
  ['a header with a space in front', () => file(' {}', 0), 'unknown format'],
  ['an array', () => file('[]', 0), 'unknown format'],
  ['broken JSON', () => file('{"a":', 0), 'not JSON'],
  ['JSON with a tail', () => file('{}x', 0), 'not JSON'],
  ['bad UTF-8', () => file(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 0), 'not UTF-8'],
  ['a tensor twice', () => file(`{"a":${json(entry(0, 4))},"a":${json(entry(0, 4))}}`, 4), 'the key "a" twice'],
  [
    'a tensor twice, once escaped',
    () => file(`{"a":${json(entry(0, 4))},"\\u0061":${json(entry(0, 4))}}`, 4),
    'the key "a" twice',
  ],
  [
    'a key of a tensor twice',
    () => file('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
    'the key "dtype" twice',
  ],
  [
    'an unknown key',
    () => file(json({ a: entry(0, 4, { stride: [1] }) }), 4),
    'tensor "a" has an unknown key "stride"',
  ],
  ['an unknown dtype', () => file(json({ a: entry(0, 4, { dtype: 'F7' }) }), 4), 'tensor "a" has dtype "F7"'],
  ['an inherited dtype', () => file(json({ a: entry(0, 4, { dtype: 'constructor' }) }), 4), 'has dtype "constructor"'],
  ['a negative size', () => file(json({ a: entry(0, 4, { shape: [-1] }) }), 4), 'has shape [-1]'],
  ['a fraction as size', () => file(json({ a: entry(0, 4, { shape: [1.5] }) }), 4), 'has shape [1.5]'],
  ['a product beyond 2^53', () => file(json({ a: entry(0, 4, { shape: [2 ** 30, 2 ** 30] }) }), 4), 'safe product'],
  [
    'a product beyond 2^53 that a 0 hides',
    () => file(json({ a: entry(0, 4, { shape: [2 ** 40, 2 ** 40, 0] }) }), 4),
    'safe product',
  ],
  [
    'a shape of a terabyte',
    () => file(json({ a: entry(0, 4, { shape: [2 ** 38] }) }), 4),
    'holds 4 bytes, its shape and dtype need 1099511627776',
  ],
  ['a tensor of a terabyte', () => file(json({ a: entry(0, 2 ** 40) }), 4), 'ends at byte 1099511627776 of 4'],
  [
    'a shape of 300,000 sizes',
    () => file(json({ a: entry(0, 4, { shape: new Array(3e5).fill(2) }) }), 4),
    'safe product',
  ],
  [
    'the wrong size for the dtype',
    () => file(json({ a: entry(0, 4, { dtype: 'F64' }) }), 4),
    'holds 4 bytes, its shape and dtype need 8',
  ],
  ['no shape', () => file(json({ a: { dtype: 'F32', data_offsets: [0, 4] } }), 4), 'has shape'],
  ['three offsets', () => file(json({ a: entry(0, 4, { data_offsets: [0, 4, 8] }) }), 4), 'two integers'],
  [
    'offsets in reverse',
    () => file(json({ a: entry(0, 4, { data_offsets: [4, 0] }) }), 4),
    'begins at 4, after its end 0',
  ],
  [
    'too few bytes for the shape',
    () => file(json({ a: entry(0, 4, { shape: [2] }) }), 4),
    'holds 4 bytes, its shape and dtype need 8',
  ],
  ['data cut short', () => file(json({ a: entry(0, 8) }), 7), 'ends at byte 8 of 7'],
  ['a tail', () => file(json({ a: entry(0, 8) }), 9), '1 bytes after the last tensor'],
  ['a hole', () => file(json({ a: entry(0, 4), b: entry(8, 12) }), 12), '4 bytes before tensor "b"'],
  ['an overlap', () => file(json({ a: entry(0, 8), b: entry(4, 12) }), 12), 'tensor "b" begins at byte 4, inside'],
  ['the same bytes twice', () => file(json({ a: entry(0, 8), b: entry(0, 8) }), 8), 'inside the tensor before it'],
  ['a number as tensor', () => file('{"a":1}', 0), 'tensor "a" has no object'],
  ['metadata that is no object', () => file('{"__metadata__":[]}', 0), '__metadata__ is not an object'],
  ['metadata that is no text', () => file('{"__metadata__":{"a":1}}', 0), '__metadata__ "a" is not a string'],
];
