import { describe, expect, it } from 'vitest';
import { isList, isTuple, PickleError, type PickleMeaning, readPickle } from '../../../../lib/weights/torch/pickle.ts';

/** Takes any name, and shows what it is asked as text. */
const meaning: PickleMeaning = {
  checkGlobal: () => {},
  reduce: (callee, args) => `${callee}(${args.join(', ')})`,
  build: (type, state) => ({ type: `${type}`, state }),
  persistent: (id) => ({ id }),
};
/** Latin-1 text as bytes, between the protocol and the end. */
const bytesOf = (body: string, end = '.') => Buffer.from(`\x80\x02${body}${end}`, 'latin1');
const limits = { stack: 1000, containers: 1000 };
const read = (body: string, end?: string) => readPickle(bytesOf(body, end), meaning, limits);
const word = (text: string) => `X${String.fromCharCode(text.length)}\0\0\0${text}`;

describe('readPickle', () => {
  // pickle.dumps(value, protocol=2) of Python, as bytes.
  it.each<[string, string, unknown]>([
    ['None', 'N', null],
    ['True', '\x88', true],
    ['7', 'K\x07', 7],
    ['300', 'M\x2c\x01', 300],
    ['-3', 'J\xfd\xff\xff\xff', -3],
    ['2**40', '\x8a\x06\x00\x00\x00\x00\x00\x01', 2 ** 40],
    ['-2**40', '\x8a\x06\x00\x00\x00\x00\x00\xff', -(2 ** 40)],
    ['2**62', '\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40', 2n ** 62n],
    ['1.5', 'G\x3f\xf8\x00\x00\x00\x00\x00\x00', 1.5],
    ['"é"', 'X\x02\0\0\0\xc3\xa9', 'é'],
    ['[1, 2]', ']q\x00(K\x01K\x02e', [1, 2]],
    ['[1]', ']q\x00K\x01a', [1]],
    ['{1: 2}', '}q\x00K\x01K\x02s', new Map([[1, 2]])],
    [
      '{1: 2, 3: 4}',
      '}q\x00(K\x01K\x02K\x03K\x04u',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
  ])('reads %s', async (_, body, value) => {
    expect(await read(body)).toEqual(value);
  });

  it('tells tuples from lists', async () => {
    const values = (await read('(](K\x01eK\x02\x85K\x03K\x04\x86)t')) as unknown[];
    expect(values.map((value) => [isTuple(value), isList(value)])).toEqual([
      [false, true],
      [true, false],
      [true, false],
      [true, false],
    ]);
    expect(Array.from(values[2] as unknown[])).toEqual([3, 4]);
  });

  it('recalls what it remembered', async () => {
    const values = (await read(']q\x00(h\x00K\x05r\x01\0\0\0j\x01\0\0\0e')) as unknown[];
    expect(values[0]).toBe(values);
    expect(values.slice(1)).toEqual([5, 5]);
  });

  it('asks what names, calls, objects and outside things mean', async () => {
    expect(await read('ctorch\nf\n(K\x01K\x02tR')).toBe('torch.f(1, 2)');
    expect(await read('c__torch__\nM\n)\x81}b')).toEqual({ type: '__torch__.M', state: new Map() });
    expect(await read(`${word('key')}Q`)).toEqual({ id: 'key' });
  });

  it('takes attributes of a dictionary only where they have a meaning', async () => {
    const given: unknown[] = [];
    const setAttributes = (...args: unknown[]) => given.push(...args);
    const bytes = bytesOf('}}K\x01K\x02sb');
    expect(await readPickle(bytes, { ...meaning, setAttributes }, limits)).toEqual(new Map());
    expect(given).toEqual([new Map(), new Map([[1, 2]])]);
    await expect(readPickle(bytes, meaning, limits)).rejects.toThrow('not a new object');
  });

  it('keeps to the limits that it is given', async () => {
    const limited = (body: string) => readPickle(bytesOf(body), meaning, { stack: 4, containers: 3 });
    expect(await limited('](]]e')).toEqual([[], []]);
    await expect(limited(']]]]')).rejects.toThrow('makes more than 3 objects');
    await expect(limited(')\x85\x85\x85')).rejects.toThrow('makes more than 3 objects');
    await expect(limited('NNNNN')).rejects.toThrow('too deep');
  });

  it('refuses a pickle that is cut short or goes on', async () => {
    await expect(read('N', '')).rejects.toThrow(PickleError);
    await expect(read('N', '')).rejects.toThrow('cut short');
    await expect(read('N', '.N')).rejects.toThrow('goes on after its end');
    await expect(readPickle(Buffer.alloc(0), meaning, limits)).rejects.toThrow('cut short');
  });
});
