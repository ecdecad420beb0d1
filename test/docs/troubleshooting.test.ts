import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { linksOf, root } from '../support/markdown.ts';

const read = (path: string) => readFile(join(root, path), 'utf8');

const page = await read('docs/troubleshooting.md');
const codes = [...(await read('lib/base/errors.ts')).matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code!);
/** Code and text of each section about one. */
const sections = page
  .split(/^(?=###? )/m)
  .filter((part) => part.startsWith('### '))
  .map((part) => [/^### `(\w+)`\n/.exec(part)?.[1] ?? part, part] as const);

describe('docs/troubleshooting.md', () => {
  it('has a section for every code, and none without', () => {
    expect(codes.length).toBeGreaterThan(20);
    expect(sections.map(([code]) => code).sort()).toEqual([...codes].sort());
  });

  it.each(sections)('%s: meaning, example, causes, remedy', (_, text) => {
    expect(text).toMatch(
      /^### `\w+`\n\n[A-Z`][\s\S]*?\n\n```text\n[\s\S]+?\n```\n\n- Likely causes: [\s\S]+?\.\n- Remedy: [\s\S]+?\.\n/,
    );
  });

  it('lists every code at its head', () => {
    expect(linksOf(page)).toEqual(expect.arrayContaining(codes.map((code) => `#${code.toLowerCase()}`)));
  });

  it('native code throws no other codes', async () => {
    const files = (await readdir(join(root, 'native'), { recursive: true })).filter((path) => path.endsWith('.cc'));
    const sources = await Promise.all(files.map((path) => read(join('native', path))));
    const thrown = sources.flatMap((text) => [...text.matchAll(/Error\(\s*"([A-Z_]+)"/g)].map(([, code]) => code!));
    expect(thrown).toContain('LOSS_NOT_FINITE');
    expect(thrown.filter((code) => !codes.includes(code))).toEqual([]);
  });

  it('knows every exit code that the help names', async () => {
    const help = /Exit codes: (.*?)\. /.exec(await read('lib/cli/program.ts'))![1]!;
    const table = page.slice(page.indexOf('## Exit codes'));
    for (const [code] of help.matchAll(/\d+/g)) expect(table, code).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
  });
});
