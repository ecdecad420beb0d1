import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const lib = fileURLToPath(new URL('../../lib/', import.meta.url));

interface Declared {
  option: string;
  doc: string;
  body: string;
}

/** Every `name: option(...)` of the sources, with the docstring above it. */
function declarations(file: string): Declared[] {
  const text = readFileSync(lib + file, 'utf8');
  return [...text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+): option\(/g)].map((match) => ({
    option: `${file}: ${match[2]}`,
    doc: match[1]!.replace(/\n\s*\* ?/g, ' ').trim(),
    body: argumentsAt(text, match.index + match[0].length),
  }));
}

function argumentsAt(text: string, begin: number): string {
  let end = begin;
  for (let depth = 1; depth > 0; end++) depth += { '(': 1, ')': -1 }[text[end]!] ?? 0;
  return text.slice(begin, end);
}

/** A literal as a docstring shows it; a constant's value is looked up. */
function shown(literal: string, file: string): string {
  const [constant] = new RegExp(`(?<=const ${literal} = )[^;]+`).exec(readFileSync(lib + file, 'utf8')) ?? [];
  const value = constant ?? literal;
  return /^[\d.]+e-?\d+$/.test(value) ? String(Number(value)) : value;
}

const all = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap(declarations);
const defaultOf = (doc: string) => /@default (.+?)(?= @|$)/.exec(doc)?.[1];
const literalOf = (body: string) => /\bdefault: (\[[^\]]*\]|[^,\n}]+)/.exec(body)?.[1]?.trim();
const byPreset = ({ body }: Declared) => /\bpresets: /.test(body);

describe('the docstring of an option', () => {
  it('is found for each entry of each table', () => expect(all.length).toBeGreaterThan(110));

  it.each(all.filter((one) => !byPreset(one) && literalOf(one.body)))(
    'has the default of its table: $option',
    (one) => {
      const value = shown(literalOf(one.body)!, one.option.split(':')[0]!);
      expect(defaultOf(one.doc)?.split(/: |, or /)[0]).toBe(value);
    },
  );

  it.each(all.filter(byPreset))('names the value of each preset: $option', ({ doc, body, option }) => {
    const presets = /\bpresets: ([\s\S]*)/.exec(body)![1]!.split(/\n {4}kept/)[0]!;
    const values = [...presets.matchAll(/(?:article: |dense: |bothPyramids\()(true|false|[\d.e-]+)/g)].map(
      ([, value]) => shown(value!, option.split(':')[0]!),
    );
    expect(values.filter((value) => !defaultOf(doc)?.includes(value))).toEqual([]);
  });

  it.each(all.filter(({ body }) => /\bunset: /.test(body)))('says what holds without a value: $option', ({ doc }) => {
    expect(defaultOf(doc)).toBeDefined();
  });
});
