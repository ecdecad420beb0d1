import { expect } from 'vitest';
import type { Draw } from '../../lib/base/random.ts';
import type { GroundTruth } from '../../lib/boxes/detection.ts';

/** Draws these numbers, then fails. */
export function draws(...numbers: number[]): Draw {
  const left = [...numbers];
  return () => {
    const next = left.shift();
    if (next === undefined) throw new Error('drew more often than expected');
    return next;
  };
}

export function truth(xmin: number, ymin: number, xmax: number, ymax: number): GroundTruth {
  return { label: 'cat', labelIndex: 1, difficult: false, box: { xmin, ymin, xmax, ymax } };
}

export interface Moments {
  mean: number[];
  std: number[];
}

/** Mean and deviation of each column agree with those of 20,000 draws of torchvision: five standard errors of the difference. */
export function expectMoments(rows: readonly number[][], expected: Moments): void {
  const count = rows.length;
  for (const [column, mean] of expected.mean.entries()) {
    const std = expected.std[column]!;
    const values = rows.map((row) => row[column]!);
    const actual = values.reduce((a, b) => a + b) / count;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - actual) ** 2, 0) / (count - 1));
    const tolerance = 5 * std * Math.sqrt(1 / count + 1 / 20_000) + 1e-4;
    expect(Math.abs(actual - mean), `mean of column ${column}: ${actual}, not ${mean}`).toBeLessThan(tolerance);
    expect(Math.abs(spread - std), `deviation of column ${column}: ${spread}, not ${std}`).toBeLessThan(2 * tolerance);
  }
}
