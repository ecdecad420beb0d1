import { describe, expect, it } from 'vitest';
import { isTuple, PickleGlobal, readPickle } from '../../../../lib/weights/torch/pickle.ts';
import {
  PickleCall,
  PickleOrderedDict,
  PicklePersistent,
  type PickleValue,
  writePickle,
} from '../../../../lib/weights/torch/pickle-writer.ts';

const latin1 = (value: PickleValue) => writePickle(value).toString('latin1');

describe('writePickle', () => {
  it.each<[string, PickleValue, string]>([
    ['text', 'é', 'X\x02\0\0\0\xc3\xa9'],
    ['a byte', 255, 'K\xff'],
    ['32 bits', 256, 'J\0\x01\0\0'],
    ['a negative number', -2, 'J\xfe\xff\xff\xff'],
    ['more than 32 bits', 2 ** 31, '\x8a\x08\0\0\0\x80\0\0\0\0'],
    ['true', true, '\x88'],
    ['false', false, '\x89'],
    ['a name', new PickleGlobal('torch', 'FloatStorage'), 'ctorch\nFloatStorage\n'],
    ['no values', [], ')'],
    ['a tuple', [1, [2]], '(K\x01(K\x02tt'],
    ['a call', new PickleCall(new PickleGlobal('a', 'b'), [3]), 'ca\nb\n(K\x03tR'],
    ['a reference', new PicklePersistent(['s']), '(X\x01\0\0\0stQ'],
    ['an empty dictionary', new Map(), '}'],
    ['a dictionary', new Map([['k', 1]]), '}(X\x01\0\0\0kK\x01u'],
    ['a state_dict', new PickleOrderedDict([['k', 1]]), 'ccollections\nOrderedDict\n)R(X\x01\0\0\0kK\x01u'],
  ])('%s', (_, value, bytes) => {
    expect(latin1(value)).toBe(`\x80\x02${bytes}.`);
  });

  it.each([1.5, Number.NaN, 2 ** 53])('refuses %s, which is no safe integer', (value) => {
    expect(() => writePickle(value)).toThrow(RangeError);
  });

  it('is read back', async () => {
    const value = new Map<string, PickleValue>([
      ['integers', [0, 255, 256, 65_536, -1, 2 ** 40, -(2 ** 40)]],
      ['text', 'x'.repeat(300)],
    ]);
    const refuse = () => expect.fail('nothing has a meaning here');
    const meaning = { checkGlobal: refuse, reduce: refuse, build: refuse, persistent: refuse };
    const found = (await readPickle(writePickle(value), meaning, { stack: 100, containers: 100 })) as Map<
      string,
      unknown
    >;
    expect(isTuple(found.get('integers'))).toBe(true);
    expect([...(found.get('integers') as number[])]).toEqual(value.get('integers'));
    expect(found.get('text')).toBe(value.get('text'));
  });
});
