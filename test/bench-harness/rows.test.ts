import { expect, test } from 'vitest';

import { agreement, type FoundObjects, sameInFloat32 } from '../bench/agreement.ts';
import { digits, formatTable, toJson, toRow } from '../bench/rows.ts';
import { median, quartiles } from '../bench/statistics.ts';

test('median and quartiles, as numpy computes them', () => {
  expect(median([3])).toBe(3);
  expect(median([4, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 10])).toBe(3);
  expect(quartiles([4, 1, 2, 10])).toEqual([1.75, 5.5]);
  expect(quartiles([5, 1, 2, 3, 4])).toEqual([2, 4]);
  expect(() => median([])).toThrow(RangeError);
});

test('the ratio is above 1 where ours is faster, and the share of the memory', () => {
  const samples = { ours: [2, 4, 3], reference: [6], tuned: [1.5] };
  expect(toRow('train', 'b2', 'ms', samples)).toEqual({
    bench: 'train',
    row: 'b2',
    value: 3,
    unit: 'ms',
    reference: 6,
    tuned: 1.5,
    ratio: 2,
    spread: [2.5, 3.5],
  });
  expect(toRow('data', 'slot', 'images/s', samples).ratio).toBe(0.5);
  expect(toRow('train', 'peak', 'GB', samples).ratio).toBe(0.5);
});

test('what was not measured is null, and a dash in the table', () => {
  const alone = toRow('map', 'all scores', 's', { ours: [1.23456] });
  expect(alone).toMatchObject({ value: 1.23456, reference: null, tuned: null, ratio: null });
  expect(toRow('map', 'all scores', 's', { ours: [], reference: [2] })).toMatchObject({ value: null, ratio: null });
  const [heading, line] = formatTable([alone]).split('\n');
  expect(heading).toMatch(/^bench +row +ours +spread +reference +ratio +tuned +ratio$/);
  expect(line).toMatch(/^map +all scores +1\.23 +s +1\.23 to 1\.23 +- +- +- +-$/);
});

test('JSON has the seven fields and no others', () => {
  const [row] = JSON.parse(toJson([toRow('train', 'b2', 'ms', { ours: [3] })]));
  expect(Object.keys(row)).toEqual(['bench', 'row', 'value', 'unit', 'reference', 'tuned', 'ratio']);
});

test.each([
  [123.6, '124'],
  [12.36, '12.4'],
  [0.012345, '0.0123'],
  [0, '0'],
  [2, '2'],
])('%d is written with three digits', (value, text) => expect(digits(value)).toBe(text));

test('detections agree that are as many, of the same class, and close', () => {
  const expected: FoundObjects[] = [{ boxes: [0, 0, 10, 10, 20, 20, 40, 40], scores: [0.9, 0.8], labels: [1, 2] }];
  const changed = (change: Partial<FoundObjects>) =>
    agreement([{ ...expected[0]!, ...change }], expected, sameInFloat32);
  expect(changed({})).toBe(1);
  expect(changed({ boxes: [20, 20, 40, 40, 0, 0, 10, 10], scores: [0.8, 0.9], labels: [2, 1] })).toBe(1);
  expect(changed({ scores: [0.9, 0.79] })).toBe(0.5);
  expect(changed({ labels: [1, 1] })).toBe(0.5);
  expect(changed({ boxes: [0, 0, 10, 10, 20, 20, 40, 41] })).toBe(0.5);
  expect(agreement([{ boxes: [], scores: [], labels: [] }], expected, sameInFloat32)).toBe(0);
  const many = { boxes: Array(20).fill([0, 0, 10, 10]).flat(), scores: Array(20).fill(0.9), labels: Array(20).fill(1) };
  expect(agreement([many], expected, sameInFloat32)).toBe(0);
});
