import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

import { machineRows } from '../bench/machine.ts';
import { parseRows, replaceBenchmarks } from '../bench/performance-page.ts';
import { toJson, toRow } from '../bench/rows.ts';

const rows = [
  ...machineRows('Some processor', 0.25),
  toRow('train', 'b8 bf16', 'ms', { ours: [500], reference: [2000], tuned: [1000] }),
  toRow('map', 'all scores', 's', { ours: [1.5] }),
];

test('tables replace those between the comments, and nothing else', () => {
  const before = 'A\n<!-- benchmarks: begin -->\nold\n<!-- benchmarks: end -->\nB\n';
  const after = replaceBenchmarks(before, parseRows(toJson(rows)));
  expect(after).toMatch(/^A\n<!-- benchmarks: begin -->\n\nSome processor, \d+ cores; load average before 0\.25; /);
  expect(after).toContain('| train | b8 bf16 | 500 ms | 2000 ms | 4x | 1000 ms | 2x |');
  expect(after).toContain('| map | all scores | 1.5 s | - | - | - | - |');
  expect(after).toMatch(/\n<!-- benchmarks: end -->\nB\n$/);
  expect(after).not.toContain('old');
  expect(replaceBenchmarks(after, rows)).toBe(after);
});

test('docs/performance.md has the place', async () => {
  const page = await readFile(fileURLToPath(new URL('../../docs/performance.md', import.meta.url)), 'utf8');
  expect(replaceBenchmarks(page, rows)).toContain('| train | b8 bf16 | 500 ms |');
});

test.each([
  ['no JSON', '{'],
  ['another value', '{}'],
  ['rows of another form', '[{"bench":"train"}]'],
  ['a number as text', toJson(rows).replace('500', '"500"')],
])('refuses %s', (_, text) => expect(() => parseRows(text)).toThrow());

test('refuses a page without the comments', () => {
  expect(() => replaceBenchmarks('# Performance', rows)).toThrow('benchmarks: begin');
});
