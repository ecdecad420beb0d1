import { median, quartiles } from './statistics.ts';

/** One line of the result: `value` is ours, null is what was not measured. */
export interface Row {
  bench: string;
  row: string;
  value: number | null;
  unit: Unit;
  /** The Python reference as the article runs it. */
  reference: number | null;
  /** The Python reference tuned, or the faster tool. */
  tuned: number | null;
  /** How many times better than `reference` the value is; for memory, the share of it that is needed. */
  ratio: number | null;
}

export type Unit = 'ms' | 's' | 'images/s' | 'GB' | 'MB' | '%' | 'cores' | 'processes';

/** A row with the quartiles of `value`, which the table shows. */
export interface MeasuredRow extends Row {
  spread: readonly [low: number, high: number] | null;
}

/** What was measured of ours and of the two references; empty where nothing was. */
export interface Samples {
  ours: readonly number[];
  reference?: readonly number[];
  tuned?: readonly number[];
}

export function toRow(bench: string, row: string, unit: Unit, samples: Samples): MeasuredRow {
  const middle = (values: readonly number[] = []) => (values.length === 0 ? null : median(values));
  const [value, reference, tuned] = [middle(samples.ours), middle(samples.reference), middle(samples.tuned)];
  const spread = value === null ? null : quartiles(samples.ours);
  return { bench, row, value, unit, reference, tuned, ratio: ratio(unit, value, reference), spread };
}

/** How `value` compares with `other`: times as fast, or the share of the memory. */
export function ratio(unit: Unit, value: number | null, other: number | null): number | null {
  if (value === null || other === null) return null;
  return unit === 'ms' || unit === 's' ? other / value : value / other;
}

const HEADINGS = ['bench', 'row', 'ours', '', 'spread', 'reference', 'ratio', 'tuned', 'ratio'];

/** For a terminal. */
export function formatTable(rows: readonly MeasuredRow[]): string {
  const cells = rows.map(({ bench, row, value, unit, spread, reference, tuned, ratio: factor }) => [
    bench,
    row,
    digits(value),
    unit,
    spread === null ? '' : spread.map(digits).join(' to '),
    digits(reference),
    times(factor),
    digits(tuned),
    times(ratio(unit, value, tuned)),
  ]);
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const format = (line: readonly string[]) =>
    line
      .map((cell, column) =>
        column < 2 || column === 3 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  return lines.map(format).join('\n');
}

/** Three significant digits; `-` where nothing was measured. */
export function digits(value: number | null): string {
  if (value === null) return '-';
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

export function times(factor: number | null): string {
  return factor === null ? '-' : `${digits(factor)}x`;
}

/** The rows with the fields of `Row` and no others, as JSON. */
export function toJson(rows: readonly MeasuredRow[]): string {
  return `${JSON.stringify(
    rows.map(({ spread: _, ...row }) => row),
    null,
    2,
  )}\n`;
}
