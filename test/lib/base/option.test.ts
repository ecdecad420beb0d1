import { describe, expect, it } from 'vitest';
import {
  boolean,
  choice,
  integer,
  list,
  number,
  object,
  positive,
  tableSchema,
  text,
} from '../../../lib/base/kinds.ts';
import { checkGiven, option, resolve } from '../../../lib/base/option.ts';
import { defaultWords, flagsOf, flatten, optionTable } from '../../../lib/base/option-words.ts';

const help = 'a value';
const table = {
  name: option(text(), { required: true, help }),
  size: option(integer({ min: 1, max: 9 }), { default: 3, presets: { large: 8 }, aliases: ['sides'], help }),
  clip: option(positive(), { default: null, presets: { large: 10 }, help }),
  warmup: option(number(), {
    presets: { large: { words: 'a tenth of the run', of: ({ steps }: { steps: number }) => steps / 10 } },
    unset: '0',
    help,
  }),
  kind: option(choice(['one', 'two'], { first: 'one' }), { unset: 'one', help, flags: ['sort'] }),
  fast: option(boolean(), { default: false, help }),
  parts: option(
    object<{ ends?: number[] }, { ends: number[] }>({ ends: option(list(integer()), { default: [1], help }) }),
    {
      help,
    },
  ),
};
const situation = () => ({ steps: 50 });

describe('resolve', () => {
  it('fills in defaults, and leaves out what has none', () => {
    expect(resolve(table, { name: 'a' })).toEqual({ name: 'a', size: 3, clip: null, fast: false });
  });

  it('has what a preset has instead, also what depends on the situation', () => {
    expect(resolve(table, { name: 'a' }, { preset: 'large', situation })).toMatchObject({
      size: 8,
      clip: 10,
      warmup: 5,
    });
    expect(resolve(table, { name: 'a' }, { preset: 'small', situation })).toMatchObject({ size: 3, clip: null });
  });

  it('takes undefined as left out, and null as without what the preset has', () => {
    const large = { preset: 'large', situation };
    const given = (value: undefined | null) => ({ name: 'a', size: value, clip: value, warmup: value, kind: value });
    expect(resolve(table, given(undefined), large)).toEqual(resolve(table, { name: 'a' }, large));
    expect(resolve(table, given(null), large)).toEqual({ name: 'a', size: 3, clip: null, fast: false });
  });

  it('takes earlier names of options and of values', () => {
    expect(resolve(table, { name: 'a', sides: 5, kind: 'first' })).toMatchObject({ size: 5, kind: 'one' });
  });

  it.each<[unknown, string]>([
    [undefined, 'Expected object for options but received undefined'],
    [{}, 'Expected non-empty string for name but received undefined'],
    [{ name: null }, 'Expected non-empty string for name but received null'],
    [{ name: 'a', size: 10 }, 'Expected integer from 1 to 9 for size but received 10 of type number'],
    [{ name: 'a', sizes: 1 }, 'Unknown key "sizes" in options; did you mean "size"?'],
    [{ name: 'a', size: 1, sides: 1 }, 'sides is an earlier name of size. Give size alone'],
    [{ name: 'a', kind: 'tow' }, 'Expected one of one, two for kind but received "tow" of type string'],
    [{ name: 'a', kind: 'constructor' }, 'Expected one of one, two for kind'],
    [{ name: 'a', parts: { ends: [1, -1] } }, 'Expected integer >= 0 for parts.ends[1] but received -1'],
    [{ name: 'a', parts: { end: [] } }, 'Unknown key "end" in parts; did you mean "ends"?'],
    [{ name: 'a', fast: 'no' }, 'Expected boolean for fast'],
  ])('refuses %j', (value, message) => {
    expect(() => resolve(table, value)).toThrow(message);
  });
});

it('checkGiven fills nothing in, and takes parts', () => {
  expect(checkGiven(table, 'training', { sides: 5, clip: null })).toEqual({ size: 5, clip: null });
  expect(() => checkGiven(table, 'training', { size: 0 })).toThrow(
    'integer from 1 to 9 for training.size but received 0',
  );
});

describe('what people read', () => {
  it('has defaults in words, the default preset first', () => {
    const words = (name: keyof typeof table, presets = ['large', 'small']) => defaultWords(table[name], presets);
    expect(words('size')).toBe('8; preset small: 3');
    expect(words('size', ['small', 'large'])).toBe('3; preset large: 8');
    expect(words('clip')).toBe('10; preset small: none');
    expect(words('warmup')).toBe('a tenth of the run; preset small: 0');
    expect([words('kind'), words('fast'), words('name')]).toEqual(['one', 'false', '']);
  });

  it('has flags of each option, also of those in an object', () => {
    expect(flatten(table).map(flagsOf).at(-1)).toEqual(['parts-ends']);
    expect(flatten(table).map(flagsOf)[4]).toEqual(['kind', 'sort']);
  });

  it('is a table in Markdown', () => {
    const lines = optionTable(table, ['large']).split('\n');
    expect(lines).toHaveLength(2 + 7);
    expect(lines[3]).toBe('| `size` | integer from 1 to 9 | 8 | A value. |');
    expect(lines.at(-1)).toBe('| `parts.ends` | array | 1 | A value. |');
  });

  it('is a JSON Schema', () => {
    expect(tableSchema(table)).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: {
        name: { type: 'string', description: help },
        size: { anyOf: [{ type: 'integer', minimum: 1, maximum: 9 }, { type: 'null' }], default: 3 },
        kind: { anyOf: [{ enum: ['one', 'two', 'first'] }, { type: 'null' }] },
      },
    });
  });
});
