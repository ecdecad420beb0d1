import { checkNumber, wrongArgument } from '../../base/check.ts';
import { kind, number } from '../../base/kinds.ts';
import type { Kind } from '../../base/option.ts';

/** A range: two ends, the lower one first. */
export type Range = readonly [number, number];

export const probability = () => number({ max: 1 });

/** A pair [from, to] of increasing numbers within limits. */
export function range(min: number, max: number): Kind<Range> {
  const words = `a pair [from, to] of increasing numbers from ${min} to ${max}`;
  const check = (name: string, value: unknown): Range => {
    if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, words, value));
    const [from, to] = value.map((end, i) => checkNumber(`${name}[${i}]`, end, min, max));
    if (value.length === 2 && from! <= to!) return [from!, to!];
    throw new RangeError(wrongArgument(name, words, JSON.stringify(value)));
  };
  const schema = { type: 'array', items: { type: 'number', minimum: min, maximum: max }, minItems: 2, maxItems: 2 };
  return kind(check, words, { schema });
}
