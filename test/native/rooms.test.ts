import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** The rooms of native/: each includes itself and rooms above it. Rooms of one line do not know each other. */
const levels = [
  ['base'],
  ['ops', 'data', 'kernels', 'memory', 'io'],
  ['models'],
  ['train'],
  ['session'],
  ['cuda', 'lever_report'],
  ['binding'],
  ['test'],
];
const levelOf = (room: string) => levels.findIndex((rooms) => rooms.includes(room));

const root = fileURLToPath(new URL('../..', import.meta.url));
const folders = ['native', 'test/native'];
const sources = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(cc|h)$/.test(path))
    .map((path) => ({ folder, path: path.replaceAll('\\', '/') })),
);
const known = new Set(sources.map(({ folder, path }) => `${folder}/${path}`));

/** A file's folder in native/, or its name at the root of it; `test` is one room. */
const roomOf = (path: string) => path.split('/')[0]!.replace(/\.\w+$/, '');

const includes = sources.flatMap(({ folder, path }) => {
  const text = readFileSync(join(root, folder, path), 'utf8');
  return [...text.matchAll(/^#include "(.+)"$/gm)].map(([, target]) => {
    const found = folders.find((each) => known.has(`${each}/${target}`));
    const [from, to] = [folder, found].map((each, i) =>
      each === 'test/native' ? 'test' : roomOf([path, target!][i]!),
    );
    return { file: `${folder}/${path}`, target, from: from!, to: to! };
  });
});

it('every include of native/ points to its own room or to one that comes before it', () => {
  expect(includes.length).toBeGreaterThan(250);
  const unknown = includes.filter(({ from, to }) => levelOf(from) < 0 || levelOf(to) < 0);
  expect(unknown).toEqual([]);
  const upward = includes.filter(({ from, to }) => from !== to && levelOf(from) <= levelOf(to));
  expect(upward.map(({ file, target }) => `${file} includes ${target}`)).toEqual([]);
});
