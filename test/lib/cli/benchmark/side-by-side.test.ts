import { expect, it } from 'vitest';
import { formatRows, type Row } from '../../../../lib/cli/benchmark/side-by-side.ts';

const measured = { start: 1500, decode: 10, model: 25, postprocess: 5, memory: 300e6 };
const rows: Row[] = [
  { name: 'first', fileBytes: 120e6, measured, map: 0.5 },
  {
    name: 'second',
    fileBytes: 60e6,
    measured,
    map: 0.4996,
    difference: { box: 0.0123, score: 1e-6, unmatched: 0, detections: 9 },
  },
  { name: 'third', fileBytes: 1, error: 'it is not installed' },
];

it('shows rows side by side, mAP where one has it, and why a runtime gave nothing', () => {
  const [head, first, second, third] = formatRows(rows)
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
  expect(head).toEqual([
    'decode',
    'model',
    'postprocess',
    'images/s',
    'start',
    'memory',
    'file',
    'box',
    'score',
    'mAP',
  ]);
  expect(first).toEqual([
    'first',
    '10.0 ms',
    '25.0 ms',
    '5.0 ms',
    '25.0',
    '1.5 s',
    '300 MB',
    '120 MB',
    '-',
    '-',
    '50.0',
  ]);
  expect(second!.slice(-4)).toEqual(['60 MB', '0.012 px', '0.0000010', '50.0']);
  expect(third).toEqual(['third: it is not installed']);
});

it('leaves the column of mAP out where nothing was measured on a data set', () => {
  const [head] = formatRows(rows.map(({ map: _, ...row }) => row)).split('\n');
  expect(head).not.toContain('mAP');
});
