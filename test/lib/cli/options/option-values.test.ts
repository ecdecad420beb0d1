import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  device,
  fraction,
  integer,
  integers,
  nonNegativeNumber,
  oneOf,
  positiveNumber,
} from '../../../../lib/cli/options/option-values.ts';

describe('option values', () => {
  it.each([
    ['1', 1],
    ['+20', 20],
    ['1e3', 1000],
  ])('reads the integer %s', (text, value) => {
    expect(integer(1)(text)).toBe(value);
  });

  it.each(['0', '-1', '1.5', 'NaN', 'Infinity', '', ' ', '0x10', '3 epochs', '1e400', '9007199254740993'])(
    'refuses %j as an integer >= 1',
    (text) => {
      expect(() => integer(1)(text)).toThrow(InvalidArgumentError);
      expect(() => integer(1)(text)).toThrow('Expected an integer >= 1.');
    },
  );

  it('gathers integers', () => {
    expect(integers(1)('15', undefined)).toEqual([15]);
    expect(integers(1)('18', [15])).toEqual([15, 18]);
  });

  it.each([
    ['0.0001', 1e-4],
    ['1e-4', 1e-4],
    ['.5', 0.5],
    ['2.', 2],
  ])('reads the number %s', (text, value) => {
    expect(positiveNumber(text)).toBe(value);
  });

  it.each(['0', '-1e-4', 'NaN', 'Infinity', '1e999', '', '1,5'])('refuses %j as a number > 0', (text) => {
    expect(() => positiveNumber(text)).toThrow('Expected a number > 0.');
  });

  it('reads a number that may be 0', () => {
    expect(['0', '.05'].map(nonNegativeNumber)).toEqual([0, 0.05]);
    for (const text of ['-0.1', 'NaN', '1e999', '']) expect(() => nonNegativeNumber(text)).toThrow('a number >= 0.');
  });

  it('reads a score from 0 to 1', () => {
    expect([fraction('0'), fraction('0.15'), fraction('1')]).toEqual([0, 0.15, 1]);
    for (const text of ['-0.1', '1.01', 'NaN', '15%']) expect(() => fraction(text)).toThrow('from 0 to 1');
  });

  it('reads a device', () => {
    expect(['cpu', 'cuda', 'cuda:1'].map(device)).toEqual(['cpu', 'cuda', 'cuda:1']);
    for (const text of ['gpu', 'CPU', 'cuda:', 'cuda:-1', 'cuda:100', 'cuda:1 ']) {
      expect(() => device(text)).toThrow('Expected cpu, cuda or cuda:N.');
    }
  });

  it('reads a word of a list in any case', () => {
    const optimizer = oneOf(['SGD', 'AdamW']);
    expect([optimizer('sgd'), optimizer('AdamW'), optimizer('ADAMW')]).toEqual(['SGD', 'AdamW', 'AdamW']);
    expect(() => optimizer('adam')).toThrow('Expected one of: SGD, AdamW.');
  });
});
