import { checkBoolean, checkInteger, checkNumber, checkSequence, checkString, wrongArgument } from '../base/check.ts';
import { messageOf } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import { checkClasses } from '../model/class-list.ts';
import { type Dataset, isChecked } from './dataset.ts';
import { isEmpty } from './examine-objects.ts';

const MANY = Number.MAX_SAFE_INTEGER;

/**
 * A data set of any maker. One that this library made is known to be sound; of every other one each field is checked.
 * @throws {TypeError|RangeError} naming the field that is wrong
 */
export function checkDataset(name: string, value: unknown): Dataset {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Promise) {
    const hint = value instanceof Promise ? ', a promise: write await before the call that makes it' : '';
    throw new TypeError(wrongArgument(name, 'Dataset, as VocDataset.open or Dataset.from give it,', value) + hint);
  }
  if (isChecked(value)) return value as Dataset;
  const { classes, samples, issues, length } = value as Record<keyof Dataset, unknown>;
  const names = checkClasses(`${name}.classes`, classes);
  if (names.length !== (classes as unknown[]).length)
    throw new RangeError(`${name}.classes begins with the background. Leave it out: labelIndex 1 is the first class`);
  const list = checkSequence(`${name}.samples`, samples, 1, MANY);
  checkSequence(`${name}.issues`, issues, 0, MANY);
  checkInteger(`${name}.length`, length, list.length, list.length);
  try {
    list.forEach((sample, i) => void checkSample(`${name}.samples[${i}]`, sample, names));
  } catch (error) {
    const kind = error instanceof RangeError ? RangeError : TypeError;
    throw new kind(`${messageOf(error)}. Dataset.from(samples, { classes }) makes a data set that is right`, {
      cause: error,
    });
  }
  return value as Dataset;
}

function checkSample(name: string, value: unknown, classes: readonly string[]): void {
  const { id, imagePath, width, height, objects } = fieldsOf(name, value);
  checkString(`${name}.id`, id);
  checkString(`${name}.imagePath`, imagePath);
  const size = {
    width: checkInteger(`${name}.width`, width, 1),
    height: checkInteger(`${name}.height`, height, 1),
  };
  const list = checkSequence(`${name}.objects`, objects, 0, MANY);
  list.forEach((object, i) => void checkObject(`${name}.objects[${i}]`, object, size, classes));
}

function checkObject(name: string, value: unknown, image: Size, classes: readonly string[]): void {
  const { label, labelIndex, box, difficult } = fieldsOf(name, value);
  const index = checkInteger(`${name}.labelIndex`, labelIndex, 1, classes.length);
  if (checkString(`${name}.label`, label) !== classes[index - 1])
    throw new RangeError(
      wrongArgument(`${name}.label`, `"${classes[index - 1]}", the class of labelIndex ${index},`, label),
    );
  checkBoolean(`${name}.difficult`, difficult);
  const sides = fieldsOf(`${name}.box`, box);
  const side = (key: string, max: number) => checkNumber(`${name}.box.${key}`, sides[key], 0, max);
  const [xmax, ymax] = [side('xmax', image.width), side('ymax', image.height)];
  const checked = { xmin: side('xmin', xmax), ymin: side('ymin', ymax), xmax, ymax };
  if (isEmpty(checked)) throw new RangeError(`Expected a box with an area for ${name}.box but received an empty one`);
}

function fieldsOf(name: string, value: unknown): Record<string, unknown> {
  if (value === null || typeof value !== 'object') throw new TypeError(wrongArgument(name, 'object', value));
  return value as Record<string, unknown>;
}
