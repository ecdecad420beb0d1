import { wrongArgument } from '../base/check.ts';

/** The first entry of every class list: label 0 of the model. */
export const BACKGROUND = '__background__';

/**
 * A class list as the article writes it: `__background__` first, then at least one class, every name a different non-empty string.
 * Throws `TypeError` or `RangeError` that says how to mend it.
 */
export function checkClasses(name: string, value: unknown): string[] {
  if (!Array.isArray(value))
    throw new TypeError(wrongArgument(name, `array of class names that starts with '${BACKGROUND}'`, value));
  const classes = value.map((item, index) => checkClassName(`${name}[${index}]`, item));
  if (classes[0] !== BACKGROUND) {
    const first = classes[0] === undefined ? '' : `, '${classes[0]}', ...`;
    throw new RangeError(
      `${name} must start with '${BACKGROUND}', because label 0 is the background. Write: ['${BACKGROUND}'${first}]`,
    );
  }
  if (classes.length < 2) throw new RangeError(`${name} must have at least one class after '${BACKGROUND}'`);
  const seen = new Map<string, number>();
  classes.forEach((item, index) => {
    const earlier = seen.get(item);
    if (earlier !== undefined) {
      throw new RangeError(
        `${name}[${index}] repeats '${item}', which is ${name}[${earlier}] already. Remove one of them`,
      );
    }
    seen.set(item, index);
  });
  return classes;
}

function checkClassName(name: string, value: unknown): string {
  if (typeof value !== 'string') {
    throw new TypeError(`${wrongArgument(name, 'class name (string)', value)}. Put the name in quotes, as in '007'`);
  }
  // Names in annotations are read without the blanks around them, so such a class would never be met.
  if (value === '' || value !== value.trim()) {
    throw new RangeError(wrongArgument(name, 'non-empty class name without blanks around it', value));
  }
  return value;
}
