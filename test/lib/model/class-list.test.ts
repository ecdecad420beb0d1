import { describe, expect, it } from 'vitest';
import { checkClasses, withBackground } from '../../../lib/model/class-list.ts';

describe('checkClasses', () => {
  it.each([
    ['as names', []],
    ["in the article's form", ['__background__']],
  ])('gives a copy of a good list, %s', (_, first) => {
    const classes = [...first, '007', 'pottedplant', 'Dog'];
    const checked = checkClasses('classes', classes);
    classes.push('later');
    expect(checked).toEqual(['007', 'pottedplant', 'Dog']);
    expect(withBackground(checked)).toEqual(['__background__', '007', 'pottedplant', 'Dog']);
  });

  it.each<[unknown, ErrorConstructor, string]>([
    [undefined, TypeError, "array of class names such as ['cat', 'dog'] for CLASSES but received undefined"],
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
      ['dog', '__background__'],
      RangeError,
      "CLASSES[1] is '__background__', the name of label 0, which may only stand first. Leave it out",
    ],
    [[], RangeError, "CLASSES must have at least one class, as in ['cat', 'dog']"],
    [['__background__'], RangeError, 'CLASSES must have at least one class'],
    [['__background__', 'cat', 'dog', 'cat'], RangeError, "CLASSES[3] repeats 'cat', which is CLASSES[1] already"],
    [['__background__', '__background__'], RangeError, "CLASSES[1] repeats '__background__'"],
  ])('refuses %j', (classes, type, message) => {
    expect(() => checkClasses('CLASSES', classes)).toThrow(type);
    expect(() => checkClasses('CLASSES', classes)).toThrow(message);
  });

  it('takes names that every object inherits', () => {
    expect(checkClasses('classes', ['constructor', '__proto__'])).toHaveLength(2);
  });
});
