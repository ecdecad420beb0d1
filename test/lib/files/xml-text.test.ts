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

it('pauses after every few tags', () => {
  const work = parseXml(`<a>${'<b>1</b>'.repeat(1000)}</a>`);
  let pauses = 0;
  for (let step = work.next(); !step.done; step = work.next()) pauses++;
  expect(pauses).toBeGreaterThan(5);
});

it.each([
  ['<a><b></a>', "Expected closing tag 'b', found 'a' (line 1)"],
  ['<a>\n<b>\n', "Unclosed tag 'b': no closing tag found (line 2)"],
  ['<a/><b/>', 'Multiple possible root nodes found (line 1)'],
  ['</a>', "No tag is open, found 'a'"],
  ['<a b=1/>', 'is no tag'],
  ['<a><!-- </a>', 'is no tag'],
  ['<a/> text', "char 't' is not expected"],
  ['<!-- only this -->', 'Start tag expected'],
  [`<a>${'<b>'.repeat(50)}`, 'nested more than 32 levels'],
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
