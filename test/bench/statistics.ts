/** The middle of the values, or the mean of the two in the middle. Throws `RangeError` without values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** First and third quartile: half of the values lie between them. */
export function quartiles(values: readonly number[]): readonly [low: number, high: number] {
  return [quantile(values, 0.25), quantile(values, 0.75)];
}

/** numpy's default: linear between the two nearest of the sorted values. */
function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('Expected at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(position)]!, sorted[Math.ceil(position)]!];
  return low + (high - low) * (position % 1);
}
