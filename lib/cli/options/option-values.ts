import { InvalidArgumentError } from 'commander';

/** Parsers of option values. A wrong value is a usage error that names the option. */

export function integer(min: number): (text: string) => number {
  return (text) => {
    const value = toNumber(text);
    if (Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`Expected an integer >= ${min}.`);
  };
}

/** Parses one or more integers; the parser calls it for each. */
export function integers(min: number): (text: string, previous: number[] | undefined) => number[] {
  const parse = integer(min);
  return (text, previous) => [...(previous ?? []), parse(text)];
}

export function positiveNumber(text: string): number {
  const value = toNumber(text);
  if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new InvalidArgumentError('Expected a number > 0.');
}

export function nonNegativeNumber(text: string): number {
  const value = toNumber(text);
  if (value >= 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new InvalidArgumentError('Expected a number >= 0.');
}

export function fraction(text: string): number {
  const value = toNumber(text);
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('Expected a number from 0 to 1.');
}

export function device(text: string): string {
  if (/^(cpu|cuda(:\d{1,2})?)$/.test(text)) return text;
  throw new InvalidArgumentError('Expected cpu, cuda or cuda:N.');
}

/** Parses one of several words in any case. */
export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const chosen = choices.find((choice) => choice.toLowerCase() === text.toLowerCase());
    if (chosen !== undefined) return chosen;
    throw new InvalidArgumentError(`Expected one of: ${choices.join(', ')}.`);
  };
}

/** Parses decimal notation only, because `Number` would also read "", "0x10" and " 5". */
function toNumber(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}
