import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { createProgram } from '../../lib/cli/program.ts';
import { commandLines, parse } from '../support/command-lines.ts';
import { codeBlocks, pages, prose, root } from '../support/markdown.ts';
import { manifest } from '../support/tarball.ts';

const electronExample = JSON.parse(readFileSync(join(root, 'examples/electron/package.json'), 'utf8'));

/** The shell lines of all pages that begin with `start`, as arguments. Assignments before a command are left out. */
function shellLines(start: RegExp): { path: string; args: string[] }[] {
  return pages.flatMap(({ path, text }) => {
    const blocks = codeBlocks(text).filter(({ language }) => language === 'sh');
    const code = blocks.map((block) => block.code.replaceAll(/^([A-Za-z_]\w*=\S+ )+/gm, '')).join('\n');
    return commandLines(code, start).map((args) => ({ path, args }));
  });
}

it('no page has a command that its options do not take', async () => {
  const lines = shellLines(/^npx dinov3-det /);
  expect(lines.length).toBeGreaterThan(25);
  for (const { path, args } of lines) {
    const failure = await parse(args).catch((error: Error) => error.message);
    expect(failure, `${path}: dinov3-det ${args.join(' ')}`).toBeUndefined();
  }
});

it('commands and flags in a sentence are known', () => {
  const commands = new Map(createProgram().commands.map((command) => [command.name(), command]));
  const inline = pages.flatMap(({ path, text }) =>
    [...prose(text).matchAll(/`(?:npx )?dinov3-det ([a-z]+)([^`]*)`/g)].map(([, name, rest]) => ({ path, name, rest })),
  );
  expect(inline.length).toBeGreaterThan(15);
  for (const { path, name, rest } of inline) {
    const command = commands.get(name!);
    expect(command, `${path}: dinov3-det ${name}`).toBeDefined();
    for (const [flag] of rest!.matchAll(/--[\w-]+/g)) {
      const isKnown = flag === '--help' || command!.options.some(({ long, short }) => long === flag || short === flag);
      expect(isKnown, `${path}: dinov3-det ${name} ${flag}`).toBe(true);
    }
  }
});

it('scripts, examples and test files that pages name are there', () => {
  const npm = [...shellLines(/^npm run /), ...shellLines(/^npm (?=test)/)];
  expect(npm.length).toBeGreaterThan(10);
  for (const { path, args } of npm) {
    const { scripts } = path.startsWith('examples/') ? electronExample : manifest;
    expect(Object.keys(scripts), path).toContain(args[0]);
    for (const file of args.filter((word) => /^(test|configs)\//.test(word)))
      expect(existsSync(join(root, file)), `${path}: ${file}`).toBe(true);
  }
  for (const { path, args } of [...shellLines(/^npx tsx /), ...shellLines(/^(node|python) /)]) {
    const places = [root, join(root, dirname(path))];
    expect(
      places.some((place) => existsSync(join(place, args[0]!))),
      `${path}: ${args[0]}`,
    ).toBe(true);
  }
});

it('YAML and JSON of pages can be read', () => {
  const blocks = pages.flatMap(({ path, text }) => codeBlocks(text).map((block) => ({ path, ...block })));
  for (const { path, line, language, code } of blocks) {
    if (language === 'yaml') expect(() => parseYaml(code, { strict: true }), `${path}:${line}`).not.toThrow();
    if (language === 'json') expect(() => JSON.parse(code), `${path}:${line}`).not.toThrow();
  }
});
