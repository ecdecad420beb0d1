import { describe, expect, it } from 'vitest';
import { ProtobufError, ProtobufMessage, readFields } from '../../../../lib/onnx/proto/protobuf.ts';

const bytesOf = ({ pieces }: ProtobufMessage) => Buffer.concat(pieces as Uint8Array[]);
const hex = (message: ProtobufMessage) => bytesOf(message).toString('hex');
const fieldsOf = (text: string) => [...readFields(Buffer.from(text, 'hex'))];

describe('ProtobufMessage', () => {
  // The first three are the examples of protobuf.dev/programming-guides/encoding.
  it.each<[string, ProtobufMessage, string]>([
    ['a number', new ProtobufMessage().integer(1, 150), '089601'],
    ['text', new ProtobufMessage().text(2, 'testing'), '120774657374696e67'],
    ['a message inside', new ProtobufMessage().message(3, new ProtobufMessage().integer(1, 150)), '1a03089601'],
    ['a negative number', new ProtobufMessage().integer(3, -1), '18ffffffffffffffffff01'],
    ['a float', new ProtobufMessage().float(2, 1), '150000803f'],
    ['a field above 15', new ProtobufMessage().integer(20, 7), 'a00107'],
    ['nothing', new ProtobufMessage().text(1, ''), '0a00'],
  ])('writes %s', (_, message, expected) => {
    expect(hex(message)).toBe(expected);
    expect(message.byteLength).toBe(expected.length / 2);
  });

  it('counts bytes that are not there yet', () => {
    const later = { byteLength: 300, read: async () => new Uint8Array(300) };
    const message = new ProtobufMessage().message(7, new ProtobufMessage().bytes(9, later));
    expect(message.byteLength).toBe(1 + 2 + 1 + 2 + 300);
    expect(message.pieces).toContain(later);
  });
});

describe('readFields', () => {
  it('reads back what was written', () => {
    const message = new ProtobufMessage()
      .integer(1, -5)
      .text(2, 'a')
      .float(3, 0.5)
      .integer(4, 2 ** 40);
    const fields = [...readFields(bytesOf(message))];
    expect(fields.map(({ number, value }) => [number, BigInt.asIntN(64, value)])).toEqual([
      [1, -5n],
      [2, 0n],
      [3, 0n],
      [4, 2n ** 40n],
    ]);
    expect([...fields[1]!.bytes]).toEqual([97]);
    expect(fields.map(({ begin }) => begin)).toEqual([0, 11, 14, 19]);
  });

  it('skips fixed numbers', () => {
    expect(fieldsOf('090102030405060708').map(({ bytes }) => bytes.length)).toEqual([8]);
  });

  it.each([
    ['text that ends before its length', '12ff', 'claims'],
    ['a claim of 10 GB', '1280c8afa02500', 'claims 10000000000 bytes where 1 are left'],
    ['a claim of 2^64 - 1', '12ffffffffffffffffff01', 'are left'],
    ['a number without an end', `08${'ff'.repeat(10)}`, 'more than ten bytes'],
    ['a number that is cut short', '0896', 'claims 1 bytes where 0 are left'],
    ['a group', '0b0c', 'unknown wire type 3'],
    ['an unknown type', '0f', 'unknown wire type 7'],
    ['the field 0', '0001', 'a field of the number 0'],
    ['a fixed number that is cut short', '0d0102', 'claims 4 bytes'],
  ])('refuses %s', (_, text, message) => {
    expect(() => fieldsOf(text)).toThrow(ProtobufError);
    expect(() => fieldsOf(text)).toThrow(message);
  });
});
