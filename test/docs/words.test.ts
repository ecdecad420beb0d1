import { describe, expect, it } from 'vitest';
import { pages, prose } from '../support/markdown.ts';
import { complaintsAbout } from '../support/sentences.ts';

// Generated pages say what docstrings and help say.
const written = pages.filter(({ isGenerated }) => !isGenerated);

it.each(written.map(({ path, text }) => [path, text]))('%s is understood at the first reading', (_, text) => {
  expect(complaintsAbout(prose(text))).toEqual([]);
});

describe('a sentence is seen that', () => {
  it.each([
    ['is too long', `It ${'really '.repeat(30)}is.`],
    ['has another word', '- Two pictures.'],
    ['lacks a zero', 'mAP is | above .5 |'],
  ])('%s', (_, text) => {
    expect(complaintsAbout(text)).toHaveLength(1);
  });
});
