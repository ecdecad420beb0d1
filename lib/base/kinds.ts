import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkPositive,
  checkSequence,
  checkString,
  wrongArgument,
} from './check.ts';
import { type Kind, type OptionTable, resolve, type Schema } from './option.ts';

interface Limits {
  min?: number;
  max?: number;
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Parses decimal notation only, because `Number` would also read "", "0x10" and " 5". */
function parseNumber(text: string): unknown {
  return DECIMAL.test(text) ? Number(text) : text;
}

const asIs = (text: string) => text;

export function integer({ min = 0, max = Number.MAX_SAFE_INTEGER }: Limits = {}): Kind<number> {
  const isOpen = max === Number.MAX_SAFE_INTEGER;
  return {
    check: (name, value) => checkInteger(name, value, min, max),
    words: isOpen ? `integer >= ${min}` : `integer from ${min} to ${max}`,
    schema: { type: 'integer', minimum: min, ...(!isOpen && { maximum: max }) },
    placeholder: '<n>',
    parse: parseNumber,
  };
}

/** A finite number. `words` replaces the description of the limits. */
export function number(limits: Limits & { words?: string } = {}): Kind<number> {
  const { min = 0, max = Number.POSITIVE_INFINITY, words } = limits;
  const isOpen = max === Number.POSITIVE_INFINITY;
  return {
    check: (name, value) => checkNumber(name, value, min, max),
    words: words ?? (isOpen ? `number >= ${min}` : `number from ${min} to ${max}`),
    schema: { type: 'number', minimum: min, ...(!isOpen && { maximum: max }) },
    placeholder: '<number>',
    parse: parseNumber,
  };
}

/** A number above zero. */
export function positive(): Kind<number> {
  return {
    check: checkPositive,
    words: 'number > 0',
    schema: { type: 'number', exclusiveMinimum: 0 },
    placeholder: '<number>',
    parse: parseNumber,
  };
}

export function boolean(): Kind<boolean> {
  const parse = (text: string) => ({ true: true, false: false })[text] ?? text;
  return { check: checkBoolean, words: 'boolean', schema: { type: 'boolean' }, placeholder: '', parse };
}

export function text(placeholder = '<text>'): Kind<string> {
  const schema = { type: 'string', minLength: 1 };
  return { check: checkString, words: 'non-empty string', schema, placeholder, parse: asIs };
}

/** One of several names. `also` maps earlier names to current names. A command line ignores case. */
export function choice<T extends string, A extends string = never>(
  names: readonly T[],
  also: Readonly<Record<A, T>> = {} as never,
): Kind<T | A, T> {
  const all = [...names, ...Object.keys(also)];
  const nameOfToday = (value: unknown) =>
    typeof value === 'string' && Object.hasOwn(also, value) ? also[value as A] : value;
  return {
    check: (name, value) => checkOneOf(name, nameOfToday(value), names),
    words: `one of ${names.join(', ')}`,
    schema: { enum: all },
    placeholder: '<name>',
    parse: (text) => all.find((each) => each.toLowerCase() === text.toLowerCase()) ?? text,
  };
}

/** A list. `of` describes its elements. */
export function list<I, O>(item: Kind<I, O>, limits: Limits & { of?: string } = {}): Kind<readonly I[], O[]> {
  const { min = 0, max = 1e6, of } = limits;
  const words = of === undefined ? 'array' : `array of ${of}`;
  return {
    check: (name, value) => {
      if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, words, value));
      return checkSequence(name, value, min, max).map((each, index) => item.check(`${name}[${index}]`, each));
    },
    words,
    ...(item.schema && { schema: { type: 'array', items: item.schema, minItems: min } }),
    placeholder: item.placeholder.replace('>', '...>'),
    parse: item.parse,
    item: item as Kind<unknown>,
  };
}

/** An object with its own options. Its types have names, so that an editor shows the docstring of each option. */
export function object<I, O>(fields: OptionTable): Kind<I, O> {
  return {
    check: (name, value) => resolve(fields, value, { name }) as O,
    words: `object with ${Object.keys(fields).join(', ')}`,
    get schema() {
      return tableSchema(fields);
    },
    placeholder: '<json>',
    parse: asIs,
    fields,
  };
}

/** The JSON Schema of objects with these options. Editors of YAML files read it. */
export function tableSchema(table: OptionTable): Schema {
  const properties = Object.entries(table).flatMap(([name, { kind, help, required, default: value }]) => {
    if (kind.schema === undefined) return [];
    const schema = required ? kind.schema : { anyOf: [kind.schema, { type: 'null' }] };
    return [[name, { ...schema, description: help, ...(value !== undefined && { default: value }) }]];
  });
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false };
}

export function callback<F>(): Kind<F> {
  return { check: (name, value) => checkFunction(name, value) as F, words: 'function', placeholder: '', parse: asIs };
}

/** An instance of a class. */
export function instance<T>(type: { prototype: T; name: string }): Kind<T> {
  const check = (name: string, value: unknown): T => {
    if (value instanceof (type as never)) return value as T;
    throw new TypeError(wrongArgument(name, type.name, value));
  };
  return { check, words: type.name, placeholder: '', parse: asIs };
}

/** A kind of value with its own check. */
export function kind<In, Out = In>(
  check: (name: string, value: unknown) => Out,
  words: string,
  more: Partial<Kind<In, Out>> = {},
): Kind<In, Out> {
  return { check, words, placeholder: '<text>', parse: asIs, ...more };
}
