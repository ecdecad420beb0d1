import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../support/markdown.ts';
import { complaintsAbout, docstringRules, docstringsOf } from '../support/sentences.ts';

/** The rooms of lib/ whose docstrings keep the rules. Add a room once its docstrings are rewritten. */
const rooms = [
  'base',
  'boxes',
  'images',
  'weights',
  'binding.ts',
  'video',
  'evaluation',
  'analysis',
  'electron',
  'index.ts',
  'cli',
];

/** Files and folders of these rooms that are not rewritten yet. */
const unfinished = [
  'cli/benchmark',
  'cli/commands/convert.ts',
  'cli/commands/detect.ts',
  'cli/commands/train.ts',
  'cli/options/data-option.ts',
  'images/draw.ts',
  'images/font.ts',
  'images/font-glyphs.ts', // it has a licence, word for word
  'images/image.ts',
];

const isIn = (file: string, places: readonly string[]) =>
  places.some((place) => file === place || file.startsWith(`${place}/`));
const files = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => /\.c?ts$/.test(file) && isIn(file, rooms) && !isIn(file, unfinished))
  .sort();
const complaints = (source: string) =>
  docstringsOf(source).flatMap((docstring) => complaintsAbout(docstring, docstringRules));

it.each(files)('the docstrings of lib/%s are understood at the first reading', (file) => {
  expect(complaints(readFileSync(join(root, 'lib', file), 'utf8'))).toEqual([]);
});

it.each(rooms)('lib/%s is a room with files', (room) => {
  expect(files.some((file) => isIn(file, [room]))).toBe(true);
});

describe('a docstring is seen that', () => {
  it.each([
    ['begins with Of', '/** Of the longer to the shorter side. */'],
    ['begins with What', '/** What an image file is. */'],
    ['begins with Such', '/** Such files are read. */'],
    ['begins with Told', '/** Told by its content. */'],
    ['begins with Those', '/**\n * The first one is good.\n * Those that most objects reach. */'],
    ['has such a tag', '/** The size.\n * @default those of the preset */'],
    ['is too long', `/**\n * It ${'really '.repeat(15)}\n * ${'really '.repeat(15)}is. @throws {TypeError} */`],
    ['says picture', '/** A picture. */'],
    ['says in the place of', '/** A file in the place of another one. */'],
    ['says usual', '/** The usual size. */'],
    ['lacks a zero', '/** Scores above .5 count. */'],
  ])('%s', (_, source) => {
    expect(complaints(source)).toHaveLength(1);
  });

  it('but not code or an example', () => {
    const code = '`what it is; of pictures`';
    expect(complaints(`/**\n * The code ${code}.\n *\n * @example\n * usual .5\n * @throws {Error} never */`)).toEqual(
      [],
    );
  });
});
