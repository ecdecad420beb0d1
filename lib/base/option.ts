import { checkKeys } from './check.ts';

/**
 * Each option is declared once, in a table. The TypeScript type (`Given`), the check and the defaults (`resolve`) come from that table. So
 * do
 * the command-line flags, `--help`, the tables of the documentation and the JSON Schema of YAML files.
 *
 * Every option of the library treats a missing value in the same way:
 * - `undefined` or absent: the preset's value, else the option's default, else none.
 * - `null`: the option's default, else none, even if the preset has a value. `clipGradNorm: null` does not clip.
 */

/** A fragment of JSON Schema, for editors of YAML files. */
export type Schema = { readonly [key: string]: unknown };

/** The values that an option accepts. */
export interface Kind<In, Out = In> {
  /** Checks a value and fills in its defaults. @throws {TypeError|RangeError} naming the option */
  check(name: string, value: unknown): Out;
  /** The accepted values in words, for messages and the documentation, for example `integer >= 1`. */
  words: string;
  /** The JSON Schema of the values. Undefined if a file cannot hold them. */
  schema?: Schema;
  /** The text for the value in `--help`, such as `<n>`; empty for a boolean. */
  placeholder: string;
  /** Converts a word of a command line to a value. A word without meaning stays as it is, and `check` rejects it. */
  parse(text: string): unknown;
  /** The kind of a list's elements. On a command line each element is one word. */
  item?: Kind<unknown>;
  /** The options of an object. */
  fields?: OptionTable;
  /** Only for the compiler. */
  readonly given?: In;
}

/** A default that depends on the situation, with its description in words. */
export interface Computed<T> {
  words: string;
  of(situation: never): T | undefined;
}

/** The declaration of an option, apart from the kind of its values. */
export interface Declaration<T> {
  /** One line for `--help` and the documentation. */
  help: string;
  /** The heading above the option in `--help` and the documentation. */
  group?: string;
  required?: true;
  /** The value if neither the caller nor the preset gives one. */
  default?: T | null;
  /** The value by preset, instead of the default. */
  presets?: Readonly<Record<string, T | Computed<T>>>;
  /** A description of the effect if there is no value at all. */
  unset?: string;
  /** Names of the option in earlier versions. */
  aliases?: readonly string[];
  /** Further flags without their dashes. The name in kebab case is always a flag. */
  flags?: readonly string[];
  /** False if the option has no flag. */
  flag?: false;
  /** The text for the value in `--help`, instead of the text of its kind. */
  placeholder?: string;
  /** The value if the flag stands alone on a command line. */
  withoutValue?: T;
  /** True if the value on a command line may be the name of a file, which the command reads. */
  isFile?: true;
  /** True if checkpoints keep the value. A resumed run then uses the same value. */
  kept?: true;
  /** The option's name in the addon, which receives the value unchanged. */
  native?: string;
}

type MarksOf<D> =
  | (D extends { required: true } ? 'required' : never)
  | (D extends { default: unknown } ? 'set' : never)
  | (D extends { default: null } ? 'null' : never)
  | (D extends { kept: true } ? 'kept' : never);

/** An option: the kind of its values, and its declaration. */
export interface Option<In, Out = In, Marks extends string = never> extends Declaration<unknown> {
  kind: Kind<In, Out>;
  /** Only for the compiler. */
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

/** The options as a caller may give them. */
export type Given<T extends OptionTable> = {
  [K in keyof T as 'required' extends Marks<T[K]> ? K : never]: In<T[K]>;
} & { [K in keyof T as 'required' extends Marks<T[K]> ? never : K]?: In<T[K]> | null | undefined };

/** The options after the check, with defaults. */
export type Resolved<T extends OptionTable> = {
  [K in keyof T as IsSet<T[K]> extends true ? K : never]: Out<T[K]> | OrNull<T[K]>;
} & { [K in keyof T as IsSet<T[K]> extends true ? never : K]?: Exclude<Out<T[K]>, undefined> };

/** The options that checkpoints keep. */
export type Kept<T extends OptionTable> = { [K in keyof T as 'kept' extends Marks<T[K]> ? K : never]: T[K] };

export interface Resolution {
  /**
   * The name of the object in messages. An option of a nested object is called `object.option`.
   * @default 'options'
   */
  name?: string;
  preset?: string;
  /** Computes the situation that computed defaults depend on. */
  situation?: (chosen: Chosen) => unknown;
}

/** Tells the value of an option, not checked yet; a computed default only with as much of the situation as it depends on. */
export type Chosen = (name: string, situation?: unknown) => unknown;

/**
 * Checks every option and fills in the omitted ones.
 * @throws {TypeError|RangeError} for a wrong value, an unknown key or a missing option; the message names the option
 */
export function resolve<T extends OptionTable>(table: T, value: unknown, resolution: Resolution = {}): Resolved<T> {
  const { name: object = 'options', preset, situation } = resolution;
  const { given, written } = byTheirNames(table, object, value);
  const chosen: Chosen = (name, situation) =>
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

/**
 * Checks the given options and returns them under their current names. It fills in nothing.
 * @throws {TypeError|RangeError} naming the option
 */
export function checkGiven(table: OptionTable, name: string, value: unknown): Record<string, unknown> {
  const { given, written } = byTheirNames(table, name, value);
  for (const [key, each] of Object.entries(given)) {
    if (each !== null && each !== undefined) table[key]!.kind.check(`${name}.${written.get(key) ?? key}`, each);
  }
  return given;
}

/** The value of an option in a preset, which replaces the default. */
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
  /** The name that the caller wrote, for each option with another name today. Messages show it. */
  written: ReadonlyMap<string, string>;
}

/**
 * Returns the options under their current names.
 * @throws {TypeError} for an unknown key, and for an option under two names
 */
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

/** Selects options of a table. */
export function pick<T extends OptionTable, K extends keyof T>(table: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map((name) => [name, table[name]])) as Pick<T, K>;
}
