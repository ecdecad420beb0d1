import { describe, expect, it } from 'vitest';
import { pages, prose } from '../support/markdown.ts';

const MAX_WORDS = 25;

/** The sentences of a page: of paragraphs, list items, headings and cells; code counts as one word, a link as its text. */
function sentencesOf(text: string): string[] {
  return prose(text)
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/`[^`]*`/g, 'CODE')
    .replaceAll('**', '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .split(/\n\s*\n|\n(?=\s*(?:-|\d+\.|#+|\|) ?)|\|/)
    .map((part) => part.replace(/^\s*(-|\d+\.|#+) /, '').replace(/\s+/g, ' '))
    .flatMap((part) => part.split(/(?<=[.!?:;]) /))
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '');
}

function complaintsAbout(sentence: string): string[] {
  const found = (pattern: RegExp, what: string) => (pattern.test(sentence) ? [what] : []);
  return [
    ...(sentence.split(' ').length > MAX_WORDS ? [`more than ${MAX_WORDS} words`] : []),
    ...found(/\bpictures?\b/i, 'an image is an image'),
    ...found(/in the place of/, 'instead of'),
    ...found(/(?<![\w.)/])\.\d/, 'numbers have a leading zero'),
  ].map((complaint) => `${complaint}: ${sentence}`);
}

// Generated pages say what docstrings and help say.
const written = pages.filter(({ isGenerated }) => !isGenerated);

it.each(written.map(({ path, text }) => [path, text]))('%s is understood at the first reading', (_, text) => {
  expect(sentencesOf(text).flatMap(complaintsAbout)).toEqual([]);
});

describe('a sentence is seen that', () => {
  it.each([
    ['is too long', `It ${'really '.repeat(30)}is.`],
    ['has another word', '- Two pictures.'],
    ['lacks a zero', 'mAP is | above .5 |'],
  ])('%s', (_, text) => {
    expect(sentencesOf(text).flatMap(complaintsAbout)).toHaveLength(1);
  });
});
