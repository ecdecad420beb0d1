import { PickleGlobal } from './pickle.ts';

/** The result of a function, as the function and its arguments. */
export class PickleCall {
  readonly callee: PickleGlobal;
  readonly args: readonly PickleValue[];
  constructor(callee: PickleGlobal, args: readonly PickleValue[]) {
    this.callee = callee;
    this.args = args;
  }
}

/** An object outside the pickle, such as a storage, by its id. */
export class PicklePersistent {
  readonly id: PickleValue;
  constructor(id: PickleValue) {
    this.id = id;
  }
}

/** Python's `collections.OrderedDict`, the type of a state_dict. */
export class PickleOrderedDict extends Map<string, PickleValue> {}

/** A value: text, integer, boolean, name, call, reference, tuple (an array), or dictionary (a Map). */
export type PickleValue =
  | string
  | number
  | boolean
  | PickleGlobal
  | PickleCall
  | PicklePersistent
  | readonly PickleValue[]
  | ReadonlyMap<string, PickleValue>;

const ORDERED_DICT = new PickleCall(new PickleGlobal('collections', 'OrderedDict'), []);

/**
 * Writes a pickle of protocol 2 with the opcodes that `torch.load(weights_only=True)` accepts. It has no memo, so it shares nothing.
 * @throws {RangeError} for a number that is not a safe integer
 */
export function writePickle(value: PickleValue): Buffer {
  return Buffer.concat([opcode('\x80\x02'), ...pieces(value), opcode('.')]);
}

function pieces(value: PickleValue): Buffer[] {
  if (typeof value === 'string') return [text(value)];
  if (typeof value === 'number') return [integer(value)];
  if (typeof value === 'boolean') return [opcode(value ? '\x88' : '\x89')]; // NEWTRUE, NEWFALSE
  if (value instanceof PickleGlobal) return [Buffer.from(`c${value.module}\n${value.name}\n`)]; // GLOBAL
  if (value instanceof PickleCall) return [...pieces(value.callee), ...pieces(value.args), opcode('R')]; // REDUCE
  if (value instanceof PicklePersistent) return [...pieces(value.id), opcode('Q')]; // BINPERSID
  if (value instanceof PickleOrderedDict) return [...pieces(ORDERED_DICT), ...items(value)];
  if (value instanceof Map) return [opcode('}'), ...items(value)]; // EMPTY_DICT
  return tuple(value as readonly PickleValue[]);
}

function opcode(bytes: string): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** BINUNICODE: a length of 32 bits, then UTF-8. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.from('X....');
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** BININT1 for a byte, BININT for 32 bits, LONG1 of eight bytes for larger integers. */
function integer(value: number): Buffer {
  if (!Number.isSafeInteger(value)) throw new RangeError(`Expected a safe integer to pickle but received ${value}`);
  if (value >= 0 && value < 256) return Buffer.from([0x4b, value]);
  if (value === (value | 0)) {
    const bytes = Buffer.from('J....');
    bytes.writeInt32LE(value, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(10, '\x8a\x08', 'latin1');
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
}

function tuple(values: readonly PickleValue[]): Buffer[] {
  if (values.length === 0) return [opcode(')')]; // EMPTY_TUPLE
  return [opcode('('), ...values.flatMap(pieces), opcode('t')]; // MARK ... TUPLE
}

function items(dict: ReadonlyMap<string, PickleValue>): Buffer[] {
  if (dict.size === 0) return [];
  return [opcode('('), ...[...dict].flatMap(([key, value]) => [text(key), ...pieces(value)]), opcode('u')]; // SETITEMS
}
