import { checkPositive, checkSequence, wrongArgument } from '../base/check.ts';
import { kind, positive } from '../base/kinds.ts';
import type { Kind } from '../base/option.ts';
import type { Dataset } from '../data/dataset.ts';

/** How much an object of each class counts in the loss of classes. */
export type ClassWeights = 'balanced' | readonly number[];

const words = 'balanced, or a number > 0 for each class';
const MAX_CLASSES = 100_000;

const word: Kind<unknown> = kind(
  (name, value) => (value === 'balanced' ? value : checkPositive(name, value)),
  'balanced or number > 0',
  { parse: positive().parse },
);

export function classWeightsKind(): Kind<ClassWeights> {
  return kind<ClassWeights>(check, words, {
    placeholder: '<weights...>',
    parse: word.parse,
    item: word,
    schema: { anyOf: [{ enum: ['balanced'] }, { type: 'array', items: positive().schema, minItems: 1 }] },
  });
}

/** A command line gives the one word as a list. */
function check(name: string, value: unknown): ClassWeights {
  if (value === 'balanced' || (Array.isArray(value) && value.length === 1 && value[0] === 'balanced'))
    return 'balanced';
  if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, words, value));
  return checkSequence(name, value, 1, MAX_CLASSES).map((each, i) => checkPositive(`${name}[${i}]`, each));
}

/**
 * The weights in the order of the classes. `balanced`: all objects / (classes * objects of the class), so that every class counts the
 * same and the average object counts 1; a class without objects has 1.
 * @throws {RangeError} for a list that is not for these classes
 */
export function classWeightsOf(weights: ClassWeights, { classes, samples }: Dataset): number[] {
  if (weights !== 'balanced') {
    if (weights.length === classes.length) return [...weights];
    const expected = `${classes.length} numbers, one for each of ${classes.slice(0, 10).join(', ')}`;
    throw new RangeError(wrongArgument('classWeights', expected, `${weights.length} numbers`));
  }
  const counts = new Array<number>(classes.length).fill(0);
  for (const { objects } of samples) for (const { labelIndex } of objects) counts[labelIndex - 1]!++;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const present = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count === 0 ? 1 : total / (present * count)));
}
