/** Mean, quantiles and histogram of a set of numbers. */
export interface Distribution {
  mean: number;
  min: number;
  p5: number;
  p25: number;
  median: number;
  p75: number;
  p95: number;
  max: number;
  /**
   * The count of numbers from `edges[i]` up to, but not including, `edges[i + 1]`. The first and last counts include the numbers beyond the
   * ends.
   */
  counts: number[];
  edges: number[];
}

/** Computes mean, quantiles (linear, as in numpy) and a histogram. The result is null without any number. */
export function distributionOf(numbers: Iterable<number>, edges: readonly number[]): Distribution | null {
  const values = Float64Array.from(numbers).sort();
  if (values.length === 0) return null;
  const quantile = (share: number) => {
    const position = share * (values.length - 1);
    const [below, above] = [values[Math.floor(position)]!, values[Math.ceil(position)]!];
    return below + (above - below) * (position % 1);
  };
  const [min, p5, p25, median, p75, p95, max] = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1].map(quantile) as [
    ...[number, number, number, number, number, number, number],
  ];
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, min, p5, p25, median, p75, p95, max, counts: countBetween(values, edges), edges: [...edges] };
}

/** `count + 1` numbers from `from` to `to`, at equal distances. */
export function evenEdges(from: number, to: number, count: number): number[] {
  return Array.from({ length: count + 1 }, (_, i) => from + ((to - from) * i) / count);
}

function countBetween(values: Float64Array, edges: readonly number[]): number[] {
  const counts: number[] = new Array(edges.length - 1).fill(0);
  let bin = 0;
  for (const value of values) {
    while (bin < counts.length - 1 && value >= edges[bin + 1]!) bin++;
    counts[bin]!++;
  }
  return counts;
}
