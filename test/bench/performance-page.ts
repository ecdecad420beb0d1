import { digits, type Row, ratio, times } from './rows.ts';

const BEGIN = '<!-- benchmarks: begin -->';
const END = '<!-- benchmarks: end -->';

/** Replaces the tables between the two comments of `page` by those of a run. Throws where there are no such comments. */
export function replaceBenchmarks(page: string, rows: readonly Row[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`The page has no ${BEGIN} with ${END} after it`);
  return `${page.slice(0, begin + BEGIN.length)}\n${formatMarkdown(rows)}${page.slice(end)}`;
}

/** The rows of a file that `--json` has written. Throws for anything else. */
export function parseRows(json: string): Row[] {
  const rows: unknown = JSON.parse(json);
  if (!Array.isArray(rows) || !rows.every(isRow)) throw new TypeError('Expected an array of benchmark rows');
  return rows;
}

function isRow(value: unknown): value is Row {
  const { bench, row, unit, ...numbers } = (value ?? {}) as Record<string, unknown>;
  const isNumber = (key: string) => numbers[key] === null || Number.isFinite(numbers[key]);
  return (
    [bench, row, unit].every((each) => typeof each === 'string') &&
    ['value', 'reference', 'tuned', 'ratio'].every(isNumber)
  );
}

function formatMarkdown(rows: readonly Row[]): string {
  const machine = rows.filter(({ bench }) => bench === 'machine');
  const facts = machine.map(({ row, value, unit }) =>
    unit === 'cores' ? `${row}, ${value} cores` : `${row} ${digits(value)}`,
  );
  const line = ({ bench, row, value, unit, reference, tuned, ratio: factor }: Row) =>
    `| ${bench} | ${row} | ${cell(value, unit)} | ${cell(reference, unit)} | ${times(factor)} | ${cell(tuned, unit)} | ${times(ratio(unit, value, tuned))} |`;
  return [
    '',
    `${facts.join('; ')}.`,
    '',
    '| | | ours | reference | | tuned | |',
    '|---|---|---|---|---|---|---|',
    ...rows.filter(({ bench }) => bench !== 'machine').map(line),
    '',
    '',
  ].join('\n');
}

function cell(value: number | null, unit: string): string {
  return value === null ? '-' : `${digits(value)} ${unit}`;
}
