import { storedZip } from './stored-zip.ts';

/** Pickles and archives as torch.save writes them, and as it never would: bytes are Latin-1 text, so that parts can be joined. */

const little = (value: number, bytes: number): string => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64LE(BigInt(value));
  return buffer.toString('latin1', 0, bytes);
};

export const text = (value: string): string => {
  const bytes = Buffer.from(value);
  return `X${little(bytes.length, 4)}${bytes.toString('latin1')}`;
};
export const int = (value: number): string =>
  value >= 0 && value < 256 ? `K${little(value, 1)}` : `\x8a\x08${little(value, 8)}`;
export const global = (module: string, name: string): string => `c${module}\n${name}\n`;
export const tuple = (...items: string[]): string => `(${items.join('')}t`;
export const call = (callee: string, ...args: string[]): string => `${callee}${tuple(...args)}R`;

export const dict = (items: Record<string, string>): string =>
  `}(${Object.entries(items)
    .map(([key, value]) => text(key) + value)
    .join('')}u`;

/** A state_dict: an OrderedDict with `_metadata`. */
export const ordered = (items: Record<string, string>): string => {
  const entries = Object.entries(items).map(([key, value]) => text(key) + value);
  const metadata = dict({ _metadata: `${global('collections', 'OrderedDict')})R` });
  return `${global('collections', 'OrderedDict')})R(${entries.join('')}u${metadata}b`;
};

export interface StorageSpec {
  type?: string;
  key?: string;
  location?: string;
  elements: number;
}
export const storage = ({ type = 'FloatStorage', key = '0', location = 'cpu', elements }: StorageSpec): string =>
  `${tuple(text('storage'), global('torch', type), text(key), text(location), int(elements))}Q`;

export interface TensorSpec extends StorageSpec {
  offset?: number;
  shape: number[];
  strides?: number[];
}
export const tensor = ({ offset = 0, shape, strides = rowMajor(shape), ...of }: TensorSpec): string =>
  call(
    global('torch._utils', '_rebuild_tensor_v2'),
    storage(of),
    int(offset),
    tuple(...shape.map(int)),
    tuple(...strides.map(int)),
    '\x89',
    `${global('collections', 'OrderedDict')})R`,
  );

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
}

/** The records of an archive that torch.save wrote, with this pickle (without its protocol and end) and these storages. */
export function torchRecords(body: string, storages: Record<string, Buffer> = {}): [name: string, content: Buffer][] {
  return [
    ['archive/data.pkl', Buffer.from(`\x80\x02${body}.`, 'latin1')],
    ['archive/byteorder', Buffer.from('little')],
    ...Object.entries(storages).map(([key, bytes]): [string, Buffer] => [`archive/data/${key}`, bytes]),
    ['archive/version', Buffer.from('3\n')],
  ];
}

export function torchSave(body: string, storages: Record<string, Buffer> = {}): Buffer {
  return storedZip(torchRecords(body, storages));
}

export interface NamedTensor {
  name: string;
  shape: number[];
  bytes: Buffer;
}

/** A file of torch.save with these tensors of four-byte elements as its state_dict; `wrap` puts the state_dict where it belongs. */
export function saveStateDict(
  tensors: readonly NamedTensor[],
  wrap = (stateDict: string) => stateDict,
  type = 'FloatStorage',
): Buffer {
  const storages: Record<string, Buffer> = {};
  const items: Record<string, string> = {};
  for (const [index, { name, shape, bytes }] of tensors.entries()) {
    storages[index] = bytes;
    items[name] = tensor({ type, key: `${index}`, elements: bytes.length / 4, shape });
  }
  return torchSave(wrap(ordered(items)), storages);
}
