import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorsOf, linksOf, type Page, pages, root } from '../support/markdown.ts';

/** The links of a page whose file or anchor is not there. */
function deadLinks({ path, text }: Page): string[] {
  return linksOf(text).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file, anchor] = link.split('#');
    const target = file === '' ? path : posix.join(dirname(path), file!);
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(join(root, target), 'utf8')).has(anchor);
  });
}

it.each(pages.map((page) => [page.path, page] as const))('%s has no dead link', (_, page) => {
  expect(deadLinks(page)).toEqual([]);
});

it.each(['[a](nothing.md)', '[a](#nothing)', '[a](README.md#nothing)', '![a](examples/nothing.jpg)'])(
  'a dead link is seen: %s',
  (text) => {
    expect(deadLinks({ path: 'README.md', text, isGenerated: false })).toHaveLength(1);
  },
);

describe('README.md', () => {
  const text = pages[0]!.text;

  it('names every page of docs/', () => {
    const others = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/'));
    expect(others.length).toBeGreaterThan(12);
    expect(others.filter((path) => !linksOf(text).includes(path))).toEqual([]);
  });

  it('is a front door: 230 lines at most, and the set-up of a clone on its first screen', () => {
    const lines = text.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(230);
    const screen = lines.slice(0, 40).join('\n');
    expect(screen).toMatch(/^npm run demo\b/m);
    expect(screen).toMatch(/^npm test\b/m);
  });

  it('names the article that the project starts from', () => {
    expect(text.replaceAll('\n', ' ')).toMatch(
      /"Object Detection with DINOv3".* by Sovit Ranjan Rath \(DebuggerCafe\)/,
    );
  });
});

it('a page of docs/ begins with what the reader can do after it', () => {
  const docs = pages.filter(({ path }) => path.startsWith('docs/') && !path.endsWith('changelog.md'));
  for (const { path, text } of docs) expect(text, path).toMatch(/^# [^\n]+\n\nAfter this page you /);
});
