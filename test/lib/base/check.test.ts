import { describe, expect, it } from 'vitest';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  checkString,
  suggestion,
} from '../../../lib/base/check.ts';

describe('checkInteger', () => {
  it('says what was expected and what was found', () => {
    const message = 'Expected integer >= 1 for epochs but received 0 of type number';
    expect(() => checkInteger('epochs', 0, 1)).toThrow(new RangeError(message));
  });
  it.each([Number.NaN, 1.5, Number.POSITIVE_INFINITY, 11])('refuses the value %d', (value) => {
    expect(() => checkInteger('n', value, 1, 10)).toThrow(RangeError);
  });
  it.each(['1', null, undefined, [1], 1n])('refuses the type of %s', (value) => {
    expect(() => checkInteger('n', value, 1)).toThrow(TypeError);
  });
  it('takes both ends', () => expect([checkInteger('n', 1, 1, 3), checkInteger('n', 3, 1, 3)]).toEqual([1, 3]));
});

describe('numbers', () => {
  it('checkNumber takes the ends and nothing beyond', () => {
    expect(checkNumber('x', 0, 0, 1)).toBe(0);
    expect(() => checkNumber('x', 1.0001, 0, 1)).toThrow('Expected number from 0 to 1 for x but received 1.0001');
    expect(() => checkNumber('x', Number.NaN, 0)).toThrow(RangeError);
  });
  it('checkPositive refuses zero, NaN and infinity', () => {
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => checkPositive('lr', value)).toThrow(RangeError);
    }
    expect(checkPositive('lr', 1e-4)).toBe(1e-4);
  });
});

describe('checkOneOf', () => {
  it('suggests the near one', () => {
    expect(() => checkOneOf('optimizer', 'adam', ['adamw', 'sgd'])).toThrow(
      /one of adamw, sgd .*did you mean "adamw"\?/,
    );
  });
  it('refuses another type', () => expect(() => checkOneOf('o', 3, ['a'])).toThrow(TypeError));
});

describe('checkKeys', () => {
  it('refuses an unknown key with a suggestion and the list', () => {
    expect(() => checkKeys('options', { epoch: 1 }, ['epochs', 'batch'])).toThrow(
      'Unknown key "epoch" in options; did you mean "epochs"?. Known keys: epochs, batch',
    );
  });
  it.each([null, [], 'x', 1])('refuses %s', (value) =>
    expect(() => checkKeys('options', value, [])).toThrow(TypeError),
  );
});

describe('suggestion', () => {
  it('keeps silent when nothing is near', () => expect(suggestion('zebra', ['epochs'])).toBe(''));
  it('is not slow on a long word', () => expect(suggestion('x'.repeat(1e6), ['epochs'])).toBe(''));
});

it('checkString, checkBoolean, checkFunction name the type found', () => {
  expect(() => checkString('dir', '')).toThrow('Expected non-empty string for dir but received "" of type string');
  expect(() => checkBoolean('resume', 'yes')).toThrow('Expected boolean for resume but received "yes" of type string');
  expect(() => checkFunction('onStep', 1)).toThrow('Expected function for onStep but received 1 of type number');
});
