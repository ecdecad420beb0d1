import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DatasetIssue, formatIssues } from '../../../lib/data/dataset-issue.ts';

const clipped = (object: number): DatasetIssue => ({
  file: join('folder', 'a.xml'),
  object,
  kind: 'box-clipped',
  message: 'too wide',
  action: 'repaired',
});
const missing: DatasetIssue = { file: 'b.jpg', kind: 'annotation-missing', message: 'no b.xml', action: 'skipped' };

describe('formatIssues', () => {
  it('counts by kind and lists the worst first', () => {
    const lost: DatasetIssue = { ...clipped(3), kind: 'box-empty', message: 'empty', action: 'skipped' };
    const doubtful: DatasetIssue = { file: 'c.xml', kind: 'size-mismatch', message: 'other', action: 'kept' };
    expect(formatIssues([clipped(0), doubtful, lost, missing, clipped(7)])).toBe(
      [
        '5 issues: 1 annotation-missing (skipped), 1 box-empty (skipped), 1 size-mismatch (kept), 2 box-clipped (repaired)',
        '  b.jpg: annotation-missing: no b.xml (skipped)',
        `  ${join('folder', 'a.xml')} object[3]: box-empty: empty (skipped)`,
        '  c.xml: size-mismatch: other (kept)',
        `  ${join('folder', 'a.xml')} object[0]: box-clipped: too wide (repaired)`,
        `  ${join('folder', 'a.xml')} object[7]: box-clipped: too wide (repaired)`,
      ].join('\n'),
    );
  });

  it('stops at the limit and says how many are left', () => {
    const lines = formatIssues(
      Array.from({ length: 25 }, (_, i) => clipped(i)),
      2,
    ).split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe('25 issues: 25 box-clipped (repaired)');
    expect(lines[3]).toBe('  ... and 23 more');
  });

  it('shortens a path to how it is written from here', () => {
    expect(formatIssues([{ ...missing, file: join(process.cwd(), 'c', 'd.jpg') }])).toContain(
      `\n  ${join('c', 'd.jpg')}: `,
    );
  });

  it('has nothing to say without issues', () => {
    expect(formatIssues([])).toBe('');
  });
});
