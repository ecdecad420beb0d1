import { runInSlices } from '../../base/time-slices.ts';

/** The error for a pickle that breaks a rule. The message continues the words "the pickle". */
export class PickleError extends Error {
  override readonly name = 'PickleError';
}

/** A name that the pickle imports, such as `torch.FloatStorage`. */
export class PickleGlobal {
  readonly module: string;
  readonly name: string;
  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }
  toString(): string {
    return `${this.module}.${this.name}`;
  }
}

export type PickleDict = Map<unknown, unknown>;

/** The meaning of the names and calls of a pickle. Anything unexpected is rejected with a PickleError. */
export interface PickleMeaning {
  /** Called once for each name, before it is pushed. */
  checkGlobal(global: PickleGlobal): void;
  /** Calls a function with a tuple of arguments. */
  reduce(callee: PickleGlobal, args: readonly unknown[]): unknown;
  /** Creates an object of a class from its state. */
  build(type: PickleGlobal, state: unknown): unknown;
  /** Sets attributes on a dictionary, as a state_dict has them. Without this method they are rejected. */
  setAttributes?(dict: PickleDict, attributes: unknown): void;
  /** Finds an object outside the pickle, such as a storage. */
  persistent(id: unknown): unknown;
}

/** An object between its creation and its state. It may not be used before. */
class Unfinished {
  readonly type: PickleGlobal;
  constructor(type: PickleGlobal) {
    this.type = type;
  }
}
class Tuple extends Array<unknown> {}
const MARK = Symbol('mark');

/** The limits of a pickle. They bound memory and time, together with its length. */
export interface PickleLimits {
  /** The largest number of values on the stack, which nesting needs. */
  stack: number;
  /** The largest number of tuples, lists, dictionaries and calls. One byte of the pickle can make a container of a hundred bytes. */
  containers: number;
}

const OPCODES_PER_SLICE = 100;

export function isTuple(value: unknown): value is readonly unknown[] {
  return value instanceof Tuple;
}

export function isList(value: unknown): value is unknown[] {
  return Array.isArray(value) && !(value instanceof Tuple);
}

/**
 * Runs a pickle like torch's C++ unpickler, with plain values instead of objects. It executes only `meaning`, and knows only the opcodes
 * that torch's own pickler writes. Integers are numbers or, beyond 2^53, bigints. `isTuple` identifies tuples; lists are arrays,
 * dictionaries are Maps.
 * @throws {PickleError}
 */
export async function readPickle(bytes: Buffer, meaning: PickleMeaning, limits: PickleLimits): Promise<unknown> {
  return await runInSlices(runPickle(new PickleMachine(bytes, meaning, limits)));
}

function* runPickle(machine: PickleMachine): Generator<void, unknown> {
  try {
    for (let steps = 1; !machine.step(); steps++) {
      if (steps % OPCODES_PER_SLICE === 0) yield;
    }
  } catch (error) {
    if (error instanceof RangeError) throw new PickleError('is cut short'); // a Buffer was read beyond its end
    throw error;
  }
  return machine.result();
}

class PickleMachine {
  readonly #bytes: Buffer;
  readonly #meaning: PickleMeaning;
  readonly #limits: PickleLimits;
  readonly #stack: unknown[] = [];
  readonly #memo: unknown[] = [];
  #containers = 0;
  #at = 0;

  constructor(bytes: Buffer, meaning: PickleMeaning, limits: PickleLimits) {
    this.#bytes = bytes;
    this.#meaning = meaning;
    this.#limits = limits;
  }

  result(): unknown {
    if (this.#at !== this.#bytes.length) throw new PickleError('goes on after its end');
    const value = this.#pop();
    if (this.#stack.length !== 0) throw new PickleError('leaves values behind');
    return finished(value);
  }

  /** Runs one opcode. Returns true after the last one. */
  step(): boolean {
    const bytes = this.#bytes;
    const opcode = bytes.readUInt8(this.#at++);
    switch (opcode) {
      case 0x80: // PROTO
        if (this.#at !== 1 || this.#take(1).readUInt8() !== 2) throw new PickleError('is not of protocol 2');
        break;
      case 0x2e: // STOP
        return true;
      case 0x28: // MARK
        this.#push(MARK);
        break;
      case 0x4e: // NONE
        this.#push(null);
        break;
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        this.#push(opcode === 0x88);
        break;
      case 0x4b: // BININT1
        this.#push(this.#take(1).readUInt8());
        break;
      case 0x4d: // BININT2
        this.#push(this.#take(2).readUInt16LE());
        break;
      case 0x4a: // BININT
        this.#push(this.#take(4).readInt32LE());
        break;
      case 0x8a: // LONG1
        this.#push(this.#long());
        break;
      case 0x47: // BINFLOAT
        this.#push(this.#take(8).readDoubleBE());
        break;
      case 0x58: // BINUNICODE
        this.#push(this.#take(this.#take(4).readUInt32LE()).toString('utf8'));
        break;
      case 0x29: // EMPTY_TUPLE
        this.#pushContainer(new Tuple());
        break;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        this.#pushTuple(this.#popMany(opcode - 0x84));
        break;
      case 0x74: // TUPLE
        this.#pushTuple(this.#popToMark());
        break;
      case 0x5d: // EMPTY_LIST
        this.#pushContainer([]);
        break;
      case 0x61: // APPEND
        this.#extend(this.#popMany(1));
        break;
      case 0x65: // APPENDS
        this.#extend(this.#popToMark());
        break;
      case 0x7d: // EMPTY_DICT
        this.#pushContainer(new Map());
        break;
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2));
        break;
      case 0x75: // SETITEMS
        this.#setItems(this.#popToMark());
        break;
      case 0x71: // BINPUT
        this.#put(this.#take(1).readUInt8());
        break;
      case 0x72: // LONG_BINPUT
        this.#put(this.#take(4).readUInt32LE());
        break;
      case 0x68: // BINGET
        this.#get(this.#take(1).readUInt8());
        break;
      case 0x6a: // LONG_BINGET
        this.#get(this.#take(4).readUInt32LE());
        break;
      default:
        this.#callOrRefuse(opcode);
    }
    return false;
  }

  /** Runs the opcodes that give names, calls and objects their meaning. */
  #callOrRefuse(opcode: number): void {
    switch (opcode) {
      case 0x63: {
        // GLOBAL
        const global = new PickleGlobal(this.#line(), this.#line());
        this.#meaning.checkGlobal(global);
        this.#push(global);
        break;
      }
      case 0x52: {
        // REDUCE
        const [callee, args] = this.#popMany(2);
        if (!(callee instanceof PickleGlobal) || !isTuple(args))
          throw new PickleError('calls something that is not a name');
        this.#pushContainer(this.#meaning.reduce(callee, args));
        break;
      }
      case 0x81: {
        // NEWOBJ
        const [type, args] = this.#popMany(2);
        if (!(type instanceof PickleGlobal) || !isTuple(args) || args.length !== 0)
          throw new PickleError('makes an object of no class');
        this.#push(new Unfinished(type));
        break;
      }
      case 0x62: {
        // BUILD
        const state = this.#pop();
        const object = this.#pop();
        this.#push(this.#build(object, finished(state)));
        break;
      }
      case 0x51: // BINPERSID
        this.#push(this.#meaning.persistent(this.#pop()));
        break;
      default:
        throw new PickleError(
          `has the opcode 0x${opcode.toString(16)} at byte ${this.#at - 1}, which torch does not write`,
        );
    }
  }

  #build(object: unknown, state: unknown): unknown {
    if (object instanceof Unfinished) return this.#meaning.build(object.type, state);
    if (!(object instanceof Map) || !this.#meaning.setAttributes)
      throw new PickleError('gives a state to something that is not a new object');
    this.#meaning.setAttributes(object, state);
    return object;
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new PickleError('is cut short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0 || end - this.#at > 4096) throw new PickleError('has a name without an end');
    const line = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return line;
  }

  #long(): number | bigint {
    const length = this.#take(1).readUInt8();
    if (length > 8) throw new PickleError('has an integer of more than 64 bits');
    const digits = [...this.#take(length)].reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
    const value = BigInt.asIntN(Math.max(1, length) * 8, digits);
    return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value;
  }

  #push(value: unknown): void {
    if (this.#stack.length >= this.#limits.stack) throw new PickleError('is too deep');
    this.#stack.push(value);
  }

  #pushContainer(value: unknown): void {
    if (++this.#containers > this.#limits.containers)
      throw new PickleError(`makes more than ${this.#limits.containers} objects`);
    this.#push(value);
  }

  /** Pushes a tuple, which may hold names, as the arguments of a call do. */
  #pushTuple(values: unknown[]): void {
    finished(values.find((value) => value instanceof Unfinished));
    // As `Tuple.from`, which makes each by the constructor of a subclass: most of the time of a large pickle.
    this.#pushContainer(Object.setPrototypeOf(values, Tuple.prototype) as Tuple);
  }

  #pop(): unknown {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw new PickleError('takes a value where there is none');
    return value;
  }

  #popMany(count: number): unknown[] {
    const values = this.#stack.slice(-count);
    if (values.length < count || values.includes(MARK)) throw new PickleError('takes a value where there is none');
    this.#stack.length -= count;
    return values;
  }

  #popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw new PickleError('takes values where there is no mark');
    return this.#stack.splice(mark).slice(1);
  }

  #extend(values: unknown[]): void {
    const list = this.#stack.at(-1);
    if (!isList(list)) throw new PickleError('appends to something that is not a list');
    for (const value of values) list.push(finished(value));
  }

  #setItems(items: unknown[]): void {
    const dict = this.#stack.at(-1);
    if (!(dict instanceof Map) || items.length % 2 !== 0)
      throw new PickleError('sets items of something that is not a dictionary');
    for (let i = 0; i < items.length; i += 2) dict.set(finished(items[i]), finished(items[i + 1]));
  }

  /** Stores a value in the memo. torch numbers its memo in order. Any other number would make its C++ reader fill a gap of any size. */
  #put(index: number): void {
    if (index > this.#memo.length) throw new PickleError('numbers its memory out of order');
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw new PickleError('remembers a value where there is none');
    this.#memo[index] = value;
  }

  #get(index: number): void {
    if (index >= this.#memo.length) throw new PickleError('recalls a value that it did not remember');
    this.#push(this.#memo[index]);
  }
}

/** Checks for a finished value, because containers and states may hold no names. */
function finished(value: unknown): unknown {
  if (value instanceof Unfinished || value instanceof PickleGlobal)
    throw new PickleError('uses a name or an unfinished object as a value');
  return value;
}
