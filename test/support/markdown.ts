import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

const folders = ['docs', '.github', 'lib', 'native', 'examples', 'configs', 'test'];
const generated = ['docs/api.md', 'docs/command-line.md'];

export interface Page {
  /** From the root, with slashes. */
  path: string;
  text: string;
  /** Written by `npm run docs`. */
  isGenerated: boolean;
}

export interface CodeBlock {
  language: string;
  code: string;
  /** Of the first line of the code, from 1. */
  line: number;
}

/** Every Markdown page of the repository. */
export const pages: readonly Page[] = ['README.md', ...folders.flatMap(pagesBelow)].map((path) => ({
  path,
  text: readFileSync(join(root, path), 'utf8'),
  isGenerated: generated.includes(path),
}));

function pagesBelow(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => `${folder}/${name.split(sep).join('/')}`)
    .sort();
}

/** The fenced blocks of a page. */
export function codeBlocks(text: string): CodeBlock[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(({ 1: language, 2: code, index }) => ({
    language: language!,
    code: code!,
    line: text.slice(0, index).split('\n').length + 1,
  }));
}

/** The page without its fenced blocks. */
export function prose(text: string): string {
  return text.replace(/^```\w*\n[\s\S]*?^```$/gm, '');
}

/** Where the links and images of a page lead. */
export function linksOf(text: string): string[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}

/** The anchors of a page as GitHub makes them: the second heading with the same words ends in -1. */
export function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, title]) => {
    const words = title!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-');
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
  return new Set(anchors);
}
