import { checkSequence, wrongArgument } from '../base/check.ts';

/** The name of label 0 in files: their class lists begin with it, as the article's do. */
export const BACKGROUND = '__background__';

/** ImageNet-21k has 21,841. */
const MAX_CLASSES = 100_000;

/**
 * The names of the classes, in the order of the model's labels, which count from 1: label 0 is the background. The background may
 * stand first, as in the article's files; it is left out of the result.
 * @throws {TypeError|RangeError} that says how to mend the list
 */
export function checkClasses(name: string, value: unknown): string[] {
  const items = checkSequence(name, value, 0, MAX_CLASSES, "array of class names such as ['cat', 'dog']");
  const classes = items.map((item, index) => checkClassName(`${name}[${index}]`, item));
  checkDifferent(name, classes);
  const late = classes.indexOf(BACKGROUND, 1);
  if (late > 0) {
    throw new RangeError(
      `${name}[${late}] is '${BACKGROUND}', the name of label 0, which may only stand first. Leave it out, or give the class another name`,
    );
  }
  const own = classes[0] === BACKGROUND ? classes.slice(1) : classes;
  if (own.length === 0) throw new RangeError(`${name} must have at least one class, as in ['cat', 'dog']`);
  return own;
}

/** The class list with the background as its first entry: the form of files, where a label is its position in the list. */
export function withBackground(classes: readonly string[]): string[] {
  return [BACKGROUND, ...classes];
}

function checkDifferent(name: string, classes: readonly string[]): void {
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
