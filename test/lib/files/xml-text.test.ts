import { expect, it } from 'vitest';
import { childOf, childrenOf, parseXml, parseXmlAtOnce, xmlNumber } from '../../../lib/files/xml-text.ts';

it('reads elements, attributes, text, comments, CDATA and the five named characters', () => {
  const root = parseXmlAtOnce(
    `\ufeff<?xml version="1.0"?><!-- <b/> --><a x="1" y='&lt;"&gt;' ><b> t&amp;&#233; </b><b/><c><![CDATA[<d>&amp;]]></c></a>\n`,
  );
  expect([root.name, root.text, [...root.attributes]]).toEqual(['a', '', [['x', '1'], ['y', '<">']]]); // biome-ignore format: short
  expect(childrenOf(root, 'b').map(({ text }) => text)).toEqual(['t&é', '']);
  expect(childOf(root, 'b')).toBeUndefined();
  expect(childOf(root, 'c')?.text).toBe('<d>&amp;');
  expect(childrenOf(undefined, 'b')).toEqual([]);
});

it('pauses between pieces of a document with very many items, which are all read', () => {
  const work = parseXml(`<a>\n<x/>\n${'<b>1</b>\n'.repeat(20_000)}<y/></a>`, { item: 'b' });
  let pauses = 0;
  let step = work.next();
  for (; !step.done; step = work.next()) pauses++;
  expect(pauses).toBeGreaterThan(5);
  expect(childrenOf(step.value, 'b')).toHaveLength(20_000);
  expect(step.value.children.slice(0, 2).map(({ name }) => name)).toEqual(['x', 'y']);
});

it('says the line of a mistake in a later piece', () => {
  const text = `<a>\n${'<b>1</b>\n'.repeat(9_999)}<b><c></b>\n${'<b>1</b>\n'.repeat(10)}</a>`;
  expect(() => parseXmlAtOnce(text, { item: 'b' })).toThrow('(line 10001)');
});

it.each([
  ['<a><b></a>', "Expected closing tag 'b' (opened in line 1, col 4) instead of closing tag 'a'. (line 1)"],
  ['<a>\n<b>\n', 'found. (line 1)'],
  ['<a/><b/>', 'more than one root element'],
  ['</a>', "Closing tag 'a' has not been opened. (line 1)"],
  ['<a b=1/>', "Attribute 'b' is without value. (line 1)"],
  ['<a><!-- </a>', "Unclosed tag 'a'. (line 1)"],
  ['<!-- only this -->', 'Start tag expected'],
  [`<a>${'<b>'.repeat(50)}${'</b>'.repeat(50)}</a>`, 'Maximum nested tags exceeded'],
])('refuses %s', (text, message) => {
  expect(() => parseXmlAtOnce(text)).toThrow(message);
});

it.each([
  '<a '.repeat(100_000),
  `<a ${'b="c" '.repeat(50_000)}`,
  `<${'a'.repeat(500_000)}`,
  `<a>${'<!--'.repeat(100_000)}`,
  `<a${' '.repeat(500_000)}`,
])('refuses a text that is made to take long, at once (%#)', (text) => {
  const began = performance.now();
  expect(() => parseXmlAtOnce(text)).toThrow();
  expect(performance.now() - began).toBeLessThan(2000);
});

it.each([
  ['1', 1],
  [' -0.5 ', -0.5],
  ['+.75', 0.75],
  ['3e1', 30],
  ['1,5', Number.NaN],
  ['', Number.NaN],
  ['0x1', Number.NaN],
  ['1e999', Number.NaN],
  [undefined, Number.NaN],
])(
  // biome-ignore format: a table
  'reads the number %j',
  (text, value) => {
    expect(xmlNumber(text)).toBe(value);
  },
);
