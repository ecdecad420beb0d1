import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../lib/cli/program.ts';
import { temporaryFolder } from '../support/voc.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = await readFile(join(root, 'docs/api.md'), 'utf8');

function docs(...args: string[]) {
  return promisify(execFile)(process.execPath, [join(root, 'scripts/docs.mjs'), ...args]);
}

/** The text below a heading of the third level. */
function section(name: string): string {
  return new RegExp(`^### ${name}\\n([\\s\\S]*?)(?=^##|$(?![\\s\\S]))`, 'm').exec(page)?.[1] ?? '';
}

describe('docs/api.md', () => {
  it('is what the docstrings say', async () => {
    await docs('--check');
  });

  it('is compared: one word makes a difference', async () => {
    const folder = await temporaryFolder();
    await cp(join(root, 'docs'), folder, { recursive: true });
    const other = join(folder, 'api.md');
    await writeFile(other, page.replace('best first', 'worst first'));
    await expect(docs('--check', folder)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('run "npm run docs"'),
    });
    await docs(folder);
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
      expect(words, name).toMatch(/^\nIn \[[\w/-]+\.ts\]\(\.\.\/lib\/[\w/-]+\.ts\)\. [`\w]/);
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

  it('has no path of a machine', () => {
    expect(page).not.toMatch(/(^|[\s('"`])\/(home|root|tmp|work|opt)\//m);
  });
});

describe('docs/command-line.md', () => {
  it('has the help of every command', async () => {
    const text = await readFile(join(root, 'docs/command-line.md'), 'utf8');
    for (const name of createProgram().commands.map((command) => command.name())) {
      expect(text).toContain(`- [\`${name}\`](#${name}): `);
      expect(text).toContain(`\n## \`${name}\`\n\n\`\`\`text\nUsage: dinov3-det ${name}`);
    }
  });

  it('is compared too', async () => {
    const folder = await temporaryFolder();
    await cp(join(root, 'docs'), folder, { recursive: true });
    const other = join(folder, 'command-line.md');
    await writeFile(other, (await readFile(other, 'utf8')).replace('--epochs', '--epoch'));
    await expect(docs('--check', folder)).rejects.toMatchObject({ stderr: expect.stringContaining('command-line.md') });
  });
});
