import { describe, expect, it } from 'vitest';
import { checkClasses } from '../../../lib/model/class-list.ts';

describe('checkClasses', () => {
  it('gives a copy of a good list', () => {
    const classes = ['__background__', '007', 'pottedplant', 'Dog'];
    const checked = checkClasses('classes', classes);
    classes.push('later');
    expect(checked).toEqual(['__background__', '007', 'pottedplant', 'Dog']);
  });

  it.each<[unknown, ErrorConstructor, string]>([
    [undefined, TypeError, "array of class names that starts with '__background__' for CLASSES but received undefined"],
    ['dog', TypeError, 'for CLASSES but received "dog"'],
    [
      ['__background__', 7],
      TypeError,
      'class name (string) for CLASSES[1] but received 7 of type number. Put the name in quotes',
    ],
    [['__background__', null], TypeError, 'CLASSES[1] but received null'],
    [['__background__', ['dog']], TypeError, 'CLASSES[1] but received array'],
    [['__background__', ''], RangeError, 'non-empty class name without blanks around it for CLASSES[1]'],
    [['__background__', ' dog'], RangeError, 'CLASSES[1] but received " dog"'],
    [
      ['dog', 'cat'],
      RangeError,
      "CLASSES must start with '__background__', because label 0 is the background. Write: ['__background__', 'dog', ...]",
    ],
    [['dog', '__background__'], RangeError, "CLASSES must start with '__background__'"],
    [[], RangeError, "Write: ['__background__']"],
    [['__background__'], RangeError, "CLASSES must have at least one class after '__background__'"],
    [['__background__', 'cat', 'dog', 'cat'], RangeError, "CLASSES[3] repeats 'cat', which is CLASSES[1] already"],
    [['__background__', '__background__'], RangeError, "CLASSES[1] repeats '__background__'"],
  ])('refuses %j', (classes, type, message) => {
    expect(() => checkClasses('CLASSES', classes)).toThrow(type);
    expect(() => checkClasses('CLASSES', classes)).toThrow(message);
  });

  it('takes names that every object inherits', () => {
    expect(checkClasses('classes', ['__background__', 'constructor', '__proto__'])).toHaveLength(3);
  });
});
