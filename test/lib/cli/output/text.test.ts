import { describe, expect, it } from 'vitest';
import { alignColumns, pythonNumber, thousands } from '../../../../lib/cli/output/text.ts';

describe('text', () => {
  it('groups digits', () => {
    expect([0, 999, 33004878].map(thousands)).toEqual(['0', '999', '33,004,878']);
  });

  // As Python's repr prints them.
  it.each([
    [1e-4, '0.0001'],
    [1e-5, '1e-05'],
    [1.0000000000000001e-5, '1e-05'],
    [1.5e-5, '1.5e-05'],
    [1e-12, '1e-12'],
    [0.001, '0.001'],
    [0.1 * 0.1, '0.01'],
    [0, '0'],
  ])('prints %d as Python does', (value, text) => {
    expect(pythonNumber(value)).toBe(text);
  });

  it('aligns the first column to the left and the others to the right', () => {
    const rows = [
      ['class', 'AP'],
      ['cat', '0.5'],
      ['potted plant', '--'],
    ];
    expect(alignColumns(rows)).toBe('class          AP\ncat           0.5\npotted plant   --');
  });
});
