import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/voc.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = await readFile(join(root, 'lib/api.md'), 'utf8');

function docs(...args: string[]) {
  return promisify(execFile)(process.execPath, [join(root, 'scripts/docs.mjs'), ...args]);
}

/** The text below a heading of the third level. */
function section(name: string): string {
  return new RegExp(`^### ${name}\\n([\\s\\S]*?)(?=^##|$(?![\\s\\S]))`, 'm').exec(page)?.[1] ?? '';
}

describe('lib/api.md', () => {
  it('is what the docstrings say', async () => {
    await docs('--check');
  });

  it('is compared: one word makes a difference', async () => {
    const other = join(await temporaryFolder(), 'api.md');
    await writeFile(other, page.replace('best first', 'worst first'));
    await expect(docs('--check', other)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('run "npm run docs"'),
    });
    await docs(other);
    expect(await readFile(other, 'utf8')).toBe(page);
  });

  it('has every export of lib/index.ts, values and types, with words and its declaration', async () => {
    const index = await readFile(join(root, 'lib/index.ts'), 'utf8');
    const names = [...index.matchAll(/\{([^}]*)\}/g)].flatMap(([, list]) =>
      list!.split(',').map((item) => item.trim().replace(/^type /, '')),
    );
    const exported = names.filter((name) => name !== '');
    expect(exported).toContain('Detector');
    expect(exported.length).toBeGreaterThan(70);
    for (const name of exported) {
      const [words, declaration] = section(name).split('```ts');
      expect(words, name).toMatch(/^\nIn \[[\w/-]+\.ts\]\([\w/-]+\.ts\)\. [`\w]/);
      expect(declaration, name).toMatch(new RegExp(`^\n(class|interface|type|const|function) ${name}\\b`));
    }
  });

  it('shows a class without what is private, all overloads, and a list of names as the names', () => {
    expect(section('Detector')).toContain('static load(dir: string');
    expect(section('Detector')).not.toMatch(/#private|private constructor/);
    expect(section('Detector').match(/^ {2}detect\(/gm)).toHaveLength(2);
    expect(section('Precision')).toContain("type Precision = 'auto' | 'fp32' | 'bf16';");
    expect(section('Size')).toContain('  width: number;');
  });

  it('has no dead link and no path of a machine', () => {
    const headings = new Set([...page.matchAll(/^### (\w+)$/gm)].map(([, name]) => `#${name!.toLowerCase()}`));
    const links = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
    expect(links.length).toBeGreaterThan(200);
    const dead = links.filter((link) =>
      link.startsWith('#') ? !headings.has(link.replace(/-\d+$/, '')) : !existsSync(join(root, 'lib', link)),
    );
    expect(dead).toEqual([]);
    expect(page).not.toMatch(/(^|[\s('"`])\/(home|root|tmp|work|opt)\//m);
  });
});
