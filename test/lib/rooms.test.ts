import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const lib = fileURLToPath(new URL('../../lib', import.meta.url));

/** The rooms of lib/ from the ground up: each may import what stands before it. README.md in lib/ says what is in them. */
const order = [
  ...['base', 'boxes', 'files', 'model', 'images', 'libtorch', 'weights', 'binding', 'video', 'data', 'onnx'],
  ...['detector', 'inference', 'evaluation', 'analysis', 'electron', 'training', 'index', 'cli'],
];

const roomOf = (file: string) => relative(lib, file).split(/[/\\.]/)[0]!;

async function importsOf(file: string): Promise<string[]> {
  const source = await readFile(file, 'utf8');
  const specifiers = source.matchAll(/(?:\bfrom|\bimport) ?\(?\s*'(\.[^']+)'/g);
  return [...specifiers].map(([, specifier]) => normalize(join(dirname(file), specifier!)));
}

const entries = await readdir(lib, { recursive: true });
const files = entries.filter((entry) => /\.c?ts$/.test(entry)).map((entry) => join(lib, entry));
const arrows = (
  await Promise.all(files.map(async (from) => (await importsOf(from)).map((to) => [from, to] as const)))
).flat();

it('lib/ has the rooms that are listed here, and beside them two doors', async () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual([...order].sort());
  const loose = entries.filter((entry) => !/[/\\]/.test(entry) && /\.c?ts$/.test(entry));
  expect(loose.sort()).toEqual(['binding.ts', 'index.ts']);
});

it('README.md describes the rooms in this order', async () => {
  const rows = (await readFile(join(lib, 'README.md'), 'utf8')).matchAll(/^\| \[(\w+)(?:\/|\.ts)\]/gm);
  expect([...rows].map(([, room]) => room)).toEqual(order);
});

it('every import in lib/ points to the same room or to one before it', () => {
  expect(arrows.length).toBeGreaterThan(500);
  const wrong = arrows.filter(([from, to]) => order.indexOf(roomOf(from)) < order.indexOf(roomOf(to)));
  expect(wrong.map(([from, to]) => `${relative(lib, from)} -> ${relative(lib, to)}`)).toEqual([]);
});

it('no file of lib/ imports itself by way of others', () => {
  const next = new Map(files.map((file) => [file, arrows.filter(([from]) => from === file).map(([, to]) => to)]));
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    expect(path, `a circle: ${[...path, file].map((each) => relative(lib, each)).join(' -> ')}`).not.toContain(file);
    if (done.has(file)) return;
    for (const to of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});
