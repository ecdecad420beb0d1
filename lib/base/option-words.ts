import { type AnyOption, isComputed, type OptionTable } from './option.ts';

/** A table of options in words: defaults and flags for `--help`, and tables for the documentation. */

/** The presets of a model, the default one first. */
export type PresetOrder = readonly string[];

/** The value of an omitted option in words, for example `10; preset article: none`. Empty if there is nothing to say. */
export function defaultWords(option: AnyOption, [usual, ...others]: PresetOrder): string {
  if (option.required) return '';
  const of = (preset: string | undefined) => valueWords(option, preset);
  const own = of(usual);
  return [
    own,
    ...others.filter((preset) => of(preset) !== own).map((preset) => `preset ${preset}: ${of(preset)}`),
  ].join('; ');
}

function valueWords({ presets, default: value, unset }: AnyOption, preset: string | undefined): string {
  const found: unknown = (preset === undefined ? undefined : presets?.[preset]) ?? value;
  if (isComputed(found)) return found.words;
  if (found === null) return 'none';
  if (found === undefined) return unset ?? '';
  return Array.isArray(found) ? found.join(' ') || 'none' : typeof found === 'string' ? found : JSON.stringify(found);
}

/** Converts a name to kebab case: `learningRate` becomes `learning-rate`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** An option of a table, or of an object in that table, with its path. */
export interface FlatOption {
  path: readonly string[];
  option: AnyOption;
}

/** Lists all options of a table. An object counts as its own options: `loss` as the options inside it. */
export function flatten(table: OptionTable, path: readonly string[] = []): FlatOption[] {
  return Object.entries(table).flatMap(([name, option]) => {
    const own = [...path, name];
    return option.kind.fields ? flatten(option.kind.fields, own) : [{ path: own, option }];
  });
}

/** The flags of an option without their dashes, the main flag first. */
export function flagsOf({ path, option }: FlatOption): string[] {
  return [path.map(kebabCase).join('-'), ...(option.flags ?? [])];
}

/** A Markdown table of the options: name, values, default and help. */
export function optionTable(table: OptionTable, presets: PresetOrder): string {
  const rows = flatten(table).map(({ path, option }) => [
    `\`${path.join('.')}\``,
    option.kind.words,
    option.required ? 'required' : defaultWords(option, presets) || '-',
    sentence(option.help),
  ]);
  return [['Option', 'Value', 'Default', 'What it is'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

function sentence(help: string): string {
  return `${help[0]!.toUpperCase()}${help.slice(1)}.`;
}
