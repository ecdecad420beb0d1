import { checkKeys } from './check.ts';

/**
 * One declaration for each option: a table of them gives the TypeScript type (`Given`), the check and the defaults (`resolve`), the
 * command-line flags, `--help`, the tables of the documentation and the JSON Schema of YAML files.
 *
 * What holds when an option is left out is the same for every option of the library:
 * - `undefined`, or not there: the preset's value, else the option's default, else none;
 * - `null`: the option's default, else none, even where the preset has a value. `clipGradNorm: null` does not clip.
 */

/** A part of JSON Schema, as editors of YAML files read it. */
export type Schema = { readonly [key: string]: unknown };

/** What the values of an option are. */
export interface Kind<In, Out = In> {
  /** The value, complete. @throws {TypeError|RangeError} naming it */
  check(name: string, value: unknown): Out;
  /** `integer >= 1`: as messages and the documentation say it. */
  words: string;
  /** Undefined for what no file can hold. */
  schema?: Schema;
  /** What stands for the value in `--help`, such as `<n>`; empty for a boolean. */
  placeholder: string;
  /** What a word of a command line means: the text itself where it means nothing, which `check` then refuses. */
  parse(text: string): unknown;
  /** A list's elements, which are a word each of a command line. */
  item?: Kind<unknown>;
  /** An object's own options. */
  fields?: OptionTable;
  /** For the compiler alone. */
  readonly given?: In;
}

/** A default that depends on the situation, with words for what it is. */
export interface Computed<T> {
  words: string;
  of(situation: never): T | undefined;
}

/** What an option has beside the kind of its values. */
export interface Declaration<T> {
  /** One line, for `--help` and the documentation. */
  help: string;
  /** The heading under which `--help` and the documentation show it. */
  group?: string;
  required?: true;
  /** What is filled in when nothing else has a value. */
  default?: T | null;
  /** What a preset has instead of the default. */
  presets?: Readonly<Record<string, T | Computed<T>>>;
  /** Words for what holds without a value, where none is filled in. */
  unset?: string;
  /** Other names, of earlier versions. */
  aliases?: readonly string[];
  /** Further flags, without their dashes; the name in kebab-case always is one. */
  flags?: readonly string[];
  /** False: there is no flag. */
  flag?: false;
  /** What stands for the value in `--help`, instead of what its kind has. */
  placeholder?: string;
  /** On a command line what the flag alone means. */
  withoutValue?: T;
  /** On a command line the value may be the name of a file, which the command reads. */
  isFile?: true;
  /** A part of what a run is: kept in its checkpoints, and the same when it is resumed. */
  kept?: true;
  /** The addon's name for it: it is passed on as it is. */
  native?: string;
}

type MarksOf<D> =
  | (D extends { required: true } ? 'required' : never)
  | (D extends { default: unknown } ? 'set' : never)
  | (D extends { default: null } ? 'null' : never)
  | (D extends { kept: true } ? 'kept' : never);

/** An option: what its values are, and its declaration. */
export interface Option<In, Out = In, Marks extends string = never> extends Declaration<unknown> {
  kind: Kind<In, Out>;
  /** For the compiler alone. */
  readonly marks?: Marks;
}

// biome-ignore lint/suspicious/noExplicitAny: an option of any kind
export type AnyOption = Option<any, any, any>;
export type OptionTable = Readonly<Record<string, AnyOption>>;

/** Declares an option of a table. */
export function option<In, Out, const D extends Declaration<In>>(
  kind: Kind<In, Out>,
  declaration: D,
): Option<In, Out, MarksOf<D>> {
  return { kind, ...declaration } as never;
}

type In<T> = T extends { kind: { readonly given?: infer I } } ? I : never;
type Out<T> = T extends { kind: { check(name: string, value: unknown): infer O } } ? O : never;
type Marks<T> = T extends { readonly marks?: infer M } ? Extract<M, string> : never;
type IsSet<T> = [Extract<Marks<T>, 'required' | 'set'>] extends [never]
  ? false
  : undefined extends Out<T>
    ? false
    : true;
type OrNull<T> = 'null' extends Marks<T> ? null : never;

/** What a caller may give. */
export type Given<T extends OptionTable> = {
  [K in keyof T as 'required' extends Marks<T[K]> ? K : never]: In<T[K]>;
} & { [K in keyof T as 'required' extends Marks<T[K]> ? never : K]?: In<T[K]> | null | undefined };

/** The same, checked, with defaults. */
export type Resolved<T extends OptionTable> = {
  [K in keyof T as IsSet<T[K]> extends true ? K : never]: Out<T[K]> | OrNull<T[K]>;
} & { [K in keyof T as IsSet<T[K]> extends true ? never : K]?: Exclude<Out<T[K]>, undefined> };

/** The options of a table that are kept with a run. */
export type Kept<T extends OptionTable> = { [K in keyof T as 'kept' extends Marks<T[K]> ? K : never]: T[K] };

export interface Resolution {
  /** What messages call the object; default `options`. The name of an option in another object is `object.option`. */
  name?: string;
  preset?: string;
  /** What computed defaults depend on: `chosen` tells the value of an option, not checked yet. */
  situation?: (chosen: (name: string) => unknown) => unknown;
}

/**
 * Checks every option and fills in what is left out.
 * @throws {TypeError|RangeError} naming the option, for a wrong value, an unknown key or one that is missing
 */
export function resolve<T extends OptionTable>(table: T, value: unknown, resolution: Resolution = {}): Resolved<T> {
  const { name: object = 'options', preset, situation } = resolution;
  const { given, written } = byTheirNames(table, object, value);
  const chosen = (name: string, situation?: unknown) =>
    (given[name] === undefined ? presetValue(table[name]!, preset, situation) : given[name]) ?? table[name]!.default;
  const circumstances = situation?.(chosen);
  const prefix = object === 'options' ? '' : `${object}.`;
  const entries = Object.entries(table).flatMap(([name, { kind, required }]) => {
    const value = chosen(name, circumstances);
    if (value === null) return [[name, null]];
    if (value === undefined && !required) return [];
    const checked = kind.check(prefix + (written.get(name) ?? name), value === undefined ? given[name] : value);
    return checked === undefined ? [] : [[name, checked]];
  });
  return Object.fromEntries(entries) as Resolved<T>;
}

/** What is given, with the names of today, and nothing filled in. @throws {TypeError|RangeError} naming the option */
export function checkGiven(table: OptionTable, name: string, value: unknown): Record<string, unknown> {
  const { given, written } = byTheirNames(table, name, value);
  for (const [key, each] of Object.entries(given)) {
    if (each !== null && each !== undefined) table[key]!.kind.check(`${name}.${written.get(key) ?? key}`, each);
  }
  return given;
}

/** What a preset has instead of the option's default. */
export function presetValue({ presets }: AnyOption, preset: string | undefined, situation?: unknown): unknown {
  const value: unknown = preset === undefined ? undefined : presets?.[preset];
  if (!isComputed(value)) return value;
  return situation === undefined ? undefined : value.of(situation as never);
}

export function isComputed(value: unknown): value is Computed<unknown> {
  return value !== null && typeof value === 'object' && 'of' in value && typeof value.of === 'function';
}

interface Named {
  given: Record<string, unknown>;
  /** What the caller called an option that has another name today: messages show that. */
  written: ReadonlyMap<string, string>;
}

/** The options with the names of today. @throws {TypeError} for unknown keys, and for an option under two names */
function byTheirNames(table: OptionTable, object: string, value: unknown): Named {
  const earlier = Object.entries(table).flatMap(([name, { aliases = [] }]) => aliases.map((alias) => [alias, name]));
  const given = { ...checkKeys(object, value, [...Object.keys(table), ...earlier.map(([alias]) => alias!)]) };
  const written = new Map<string, string>();
  for (const [alias, name] of earlier as [string, string][]) {
    if (given[alias] === undefined) continue;
    if (given[name] !== undefined) throw new TypeError(`${alias} is an earlier name of ${name}. Give ${name} alone`);
    given[name] = given[alias];
    written.set(name, alias);
    delete given[alias];
  }
  return { given, written };
}

/** Part of a table. */
export function pick<T extends OptionTable, K extends keyof T>(table: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map((name) => [name, table[name]])) as Pick<T, K>;
}
