import { type Command, InvalidArgumentError, Option } from 'commander';
import { suggestion } from '../../base/check.ts';
import type { AnyOption, Kind, OptionTable } from '../../base/option.ts';
import { defaultWords, type FlatOption, flagsOf, flatten } from '../../base/option-words.ts';
import { defaultPreset, presetNames } from '../../model/config.ts';
import { keepNames } from '../completion/command-words.ts';

/** The flags of a table of options: each name in kebab case, and further flags. */

/** The presets, the default one first. */
export const presetOrder = [defaultPreset, ...presetNames.filter((name) => name !== defaultPreset)];

/** The word for `null`, which removes a preset's value. The parser keeps the word, because it treats null as missing. */
const NONE = 'none';
const UNSET = Symbol(NONE);

/** Adds the flags of every option that has one. Flags that the command has already stay. */
export function addOptions<C extends Command>(command: C, table: OptionTable): C {
  for (const flat of flatten(table)) if (flat.option.flag !== false) addFlags(command, flat);
  return command;
}

/** The given options under the names of the library. `none` becomes `null`. */
export function givenOptions(table: OptionTable, flags: object, path: readonly string[] = []): Record<string, unknown> {
  const entries = Object.entries(table).flatMap(([name, { kind }]) => {
    const own = [...path, name];
    if (!kind.fields) {
      const value = (flags as Record<string, unknown>)[attributeOf(own)];
      return value === undefined ? [] : [[name, value === UNSET ? null : value]];
    }
    const fields = givenOptions(kind.fields, flags, own);
    return Object.keys(fields).length === 0 ? [] : [[name, fields]];
  });
  return Object.fromEntries(entries);
}

/** Adds a required option. `--help` shows it before all others. */
export function addRequired<C extends Command>(command: C, flags: string, help: string): C {
  command.addOption(new Option(flags, help).makeOptionMandatory().helpGroup('Required:'));
  return command;
}

/** Adds an option that only this command has. */
export function addOwn<C extends Command>(command: C, group: string, option: Option): C {
  command.addOption(option.helpGroup(`${group}:`));
  return command;
}

/** The key under which the parser keeps a value, for example `lossBox` for `loss.box`. */
export function attributeOf([first, ...more]: readonly string[]): string {
  return first + more.map((name) => name[0]!.toUpperCase() + name.slice(1)).join('');
}

function addFlags(command: Command, flat: FlatOption): void {
  const names = flagsOf(flat);
  if (command.options.some(({ long }) => long === `--${names[0]}`)) return;
  for (const [index, name] of names.entries()) {
    for (const flag of isSwitch(flat.option) ? switches(name) : [valued(name, flat.option)]) {
      flag.attributeName = () => attributeOf(flat.path);
      flag.helpGroup(`${flat.option.group ?? 'Other'}:`);
      if (index > 0 || flag.negate) flag.hideHelp();
      else flag.description = describe(names, flat.option);
      command.addOption(flag);
    }
  }
}

function isSwitch({ kind }: AnyOption): boolean {
  return kind.placeholder === '';
}

/** A switch and its negation. */
function switches(name: string): Option[] {
  return [new Option(`--${name}`), new Option(`--no-${name}`)];
}

function valued(name: string, option: AnyOption): Option {
  const flag = new Option(`--${name} ${placeholderOf(option)}`);
  keepNames(flag, namesOf(option.kind.item ?? option.kind));
  if (option.withoutValue !== undefined) flag.preset(String(option.withoutValue));
  return flag.argParser((text: string, previous: unknown) => {
    const value = read(option, text);
    return option.kind.item && value !== UNSET ? [...((previous as unknown[] | undefined) ?? []), value] : value;
  });
}

/** The help of an option: `help (a, b; default: a; also --short)`. */
function describe([name, ...more]: readonly string[], option: AnyOption): string {
  const words = defaultWords(option, presetOrder);
  const isOff = isSwitch(option) && words === 'false';
  const also = [...(isSwitch(option) && !isOff ? [`no-${name}`] : []), ...more].map((flag) => `--${flag}`);
  const notes = [
    namesOf(option.kind).join(', '),
    words === '' || isOff ? '' : `default: ${words}`,
    also.length === 0 ? '' : `also ${also.join(', ')}`,
  ].filter((note) => note !== '');
  return notes.length === 0 ? option.help : `${option.help} (${notes.join('; ')})`;
}

/** The names that an option accepts, without names of earlier versions. */
function namesOf({ schema, words }: Kind<unknown>): string[] {
  return schema?.enum === undefined ? [] : words.replace('one of ', '').split(', ');
}

function placeholderOf({ placeholder, kind }: AnyOption): string {
  return placeholder ?? kind.placeholder;
}

/** Converts a word of a command line to the value of an option. @throws {InvalidArgumentError} */
function read(option: AnyOption, text: string): unknown {
  if (option.isFile) return text;
  const kind: Kind<unknown> = option.kind.item ?? option.kind;
  const value = kind.parse(text);
  try {
    kind.check('value', value);
    return value;
  } catch {
    if (text.toLowerCase() === NONE && canBeUnset(option)) return UNSET;
    throw new InvalidArgumentError(`Expected ${withArticle(kind.words)}${suggestion(text, namesOf(kind)) || '.'}`);
  }
}

function canBeUnset({ presets, default: value, unset }: AnyOption): boolean {
  return presets !== undefined || value === null || unset !== undefined;
}

function withArticle(words: string): string {
  if (/^(integer|array|object)\b/.test(words)) return `an ${words}`;
  return /^(number|boolean|non-empty|pair)\b/.test(words) ? `a ${words}` : words;
}
