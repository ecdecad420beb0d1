import { describe, expect, it } from 'vitest';
import { isList, isTuple, PickleError, type PickleMeaning, readPickle } from '../../../lib/weights/pickle.ts';

/** Takes any name, and shows what it is asked as text. */
const meaning: PickleMeaning = {
  checkGlobal: () => {},
  reduce: (callee, args) => `${callee}(${args.join(', ')})`,
  build: (type, state) => ({ type: `${type}`, state }),
  persistent: (id) => ({ id }),
};
/** Latin-1 text as bytes, between the protocol and the end. */
const read = (body: string, end = '.') => readPickle(Buffer.from(`\x80\x02${body}${end}`, 'latin1'), meaning);
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
    const bytes = Buffer.from('\x80\x02}}K\x01K\x02sb.', 'latin1');
    expect(await readPickle(bytes, { ...meaning, setAttributes })).toEqual(new Map());
    expect(given).toEqual([new Map(), new Map([[1, 2]])]);
    await expect(readPickle(bytes, meaning)).rejects.toThrow('no new object');
  });

  it('keeps to the limits that it is given', async () => {
    const limited = (body: string) =>
      readPickle(Buffer.from(`\x80\x02${body}.`, 'latin1'), meaning, { stack: 4, containers: 3 });
    expect(await limited('](]]e')).toEqual([[], []]);
    await expect(limited(']]]]')).rejects.toThrow('makes more than 3 objects');
    await expect(limited(')\x85\x85\x85')).rejects.toThrow('makes more than 3 objects');
    await expect(limited('NNNNN')).rejects.toThrow('too deep');
  });

  it.each<[string, string, string]>([
    ['an opcode that torch does not write', `${word('os')}${word('system')}\x93`, 'opcode 0x93'],
    ['an old opcode', 'I1\n', 'opcode 0x49'],
    ['the protocol again', '\x80\x02', 'protocol 2'],
    ['a call of a number', 'K\x00)R', 'calls something that is no name'],
    ['a call without a tuple', 'ctorch\nf\nK\x01R', 'calls something that is no name'],
    ['an object with arguments', 'c__torch__\nM\n(K\x01t\x81', 'makes an object of no class'],
    ['a state for a number', 'K\x01}b', 'no new object'],
    ['an unfinished object in a tuple', 'c__torch__\nM\n)\x81\x85', 'unfinished object'],
    ['an unfinished object in a list', '](c__torch__\nM\n)\x81e', 'unfinished object'],
    ['an unfinished object as result', 'c__torch__\nM\n)\x81', 'unfinished object'],
    ['a name in a dictionary', '}K\x01ctorch\nf\ns', 'uses a name'],
    ['a gap in its memory', 'K\x01r\xff\xff\xff\x7f', 'out of order'],
    ['a memory that is not there', 'h\x00', 'did not remember'],
    ['a memory of nothing', 'q\x00', 'where there is none'],
    ['nothing', '', 'where there is none'],
    ['two results', 'NN', 'leaves values behind'],
    ['a mark as result', 'N(', 'where there is none'],
    ['a tuple without a mark', 'Nt', 'no mark'],
    ['a list of a mark', '](a', 'where there is none'],
    ['an append to a tuple', ')K\x01a', 'no list'],
    ['an item of a list', ']K\x01K\x02s', 'no dictionary'],
    ['half an item', '}(K\x01u', 'no dictionary'],
    ['an endless integer', '\x8a\x09\0\0\0\0\0\0\0\0\0', 'more than 64 bits'],
    ['an endless name', `c${'x'.repeat(5000)}\nf\n`, 'name without an end'],
    ['a text beyond the end', 'X\xff\xff\xff\x7fabc', 'cut short'],
  ])('refuses %s', async (_, body, rule) => {
    await expect(read(body)).rejects.toThrow(PickleError);
    await expect(read(body)).rejects.toThrow(rule);
  });

  it('refuses a pickle that is cut short or goes on', async () => {
    await expect(read('N', '')).rejects.toThrow('cut short');
    await expect(read('N', '.N')).rejects.toThrow('goes on after its end');
    await expect(readPickle(Buffer.alloc(0), meaning)).rejects.toThrow('cut short');
  });
});
