/**
 * Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), as far as ONNX needs it: varints, 32-bit numbers and
 * fields of a length.
 */

/** Bytes that are made when they are written: a model's weights need not be in memory together. */
export interface LazyBytes {
  readonly byteLength: number;
  read(): Promise<Uint8Array>;
}

export type Piece = Uint8Array | LazyBytes;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** A message under construction: its fields, in the order in which they are added. */
export class ProtobufMessage {
  readonly pieces: Piece[] = [];
  byteLength = 0;

  integer(field: number, value: number | bigint): this {
    return this.#tag(field, VARINT).#add(varint(BigInt(value)));
  }

  float(field: number, value: number): this {
    return this.#tag(field, FIXED32).#add(new Uint8Array(new Float32Array([value]).buffer));
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  bytes(field: number, value: Piece): this {
    return this.#tag(field, LENGTH)
      .#add(varint(BigInt(value.byteLength)))
      .#add(value);
  }

  message(field: number, value: ProtobufMessage): this {
    this.#tag(field, LENGTH).#add(varint(BigInt(value.byteLength)));
    for (const piece of value.pieces) this.#add(piece);
    return this;
  }

  #tag(field: number, wireType: number): this {
    return this.#add(varint(BigInt(field * 8 + wireType)));
  }

  #add(piece: Piece): this {
    if (piece.byteLength > 0) this.pieces.push(piece);
    this.byteLength += piece.byteLength;
    return this;
  }
}

/** Negative numbers take ten bytes, as the format says of int64. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Uint8Array.of(...bytes, Number(rest));
}

/** The bytes break the format; the message says how, in words that follow the name of the file. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

/** A field of a message, and where its content is in the bytes. */
export interface Field {
  number: number;
  /** Of a varint. */
  value: bigint;
  /** Of the content of any other: views, nothing is copied. */
  bytes: Uint8Array;
  /** Position of the field's tag in the message. */
  begin: number;
}

/**
 * The fields of a message in the order of its bytes. Nothing is nested here: who wants a message inside reads its bytes in turn, so
 * that depth is the reader's to bound.
 * @throws ProtobufError
 */
export function* readFields(message: Uint8Array): Generator<Field, void> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (length > message.length - at) {
      throw new ProtobufError(`claims ${length} bytes where ${message.length - at} are left`);
    }
    at += length;
    return message.subarray(at - length, at);
  };
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = view.getUint8(at - 1 + take(1).length);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError('has a number of more than ten bytes');
  };
  const empty = new Uint8Array(0);
  while (at < message.length) {
    const begin = at;
    const tag = Number(number());
    const [field, wireType] = [Math.floor(tag / 8), tag % 8];
    if (field === 0 || field > 0x1fffffff) throw new ProtobufError(`has a field of the number ${field}`);
    if (wireType === VARINT) yield { number: field, value: number(), bytes: empty, begin };
    else if (wireType === LENGTH) yield { number: field, value: 0n, bytes: take(Number(number())), begin };
    else if (wireType === FIXED32) yield { number: field, value: 0n, bytes: take(4), begin };
    else if (wireType === FIXED64) yield { number: field, value: 0n, bytes: take(8), begin };
    else throw new ProtobufError(`has a field of the unknown wire type ${wireType}`);
  }
}
