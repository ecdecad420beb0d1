import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_ANNOTATION_BYTES, parseVocAnnotation, readVocAnnotation } from '../../../lib/data/voc-annotation.ts';
import { expectError, temporaryFolder, vocObject, vocXml, writeFiles } from '../../support/voc.ts';

const dog = vocObject('dog', 48, 240, 195, 371, '<truncated>0</truncated><difficult>0</difficult>');

describe('parseVocAnnotation', () => {
  it('reads objects in order, and the size', () => {
    const more = vocObject('person', 8, 12, 352, 498, '<difficult>1</difficult>');
    expect(parseVocAnnotation(vocXml(dog + more))).toEqual({
      objects: [
        { name: 'dog', xmin: 48, ymin: 240, xmax: 195, ymax: 371, difficult: false },
        { name: 'person', xmin: 8, ymin: 12, xmax: 352, ymax: 498, difficult: true },
      ],
      size: { width: 64, height: 48 },
    });
  });

  it.each([
    ['one object', vocXml(dog), 1],
    ['1,400 objects', vocXml(dog.repeat(1000) + vocObject('a', 1, 2, 3, 4).repeat(400)), 1400],
    ['no object', vocXml(''), 0],
    ['an empty root', '<annotation/>', 0],
    ['a root with blanks', '<?xml version="1.0"?>\n<annotation verified="yes">\n</annotation>\n', 0],
  ])('reads %s', (_, xml, count) => {
    expect(parseVocAnnotation(xml).objects).toHaveLength(count);
  });

  it('keeps a class named 007 a string', () => {
    expect(parseVocAnnotation(vocXml(vocObject('007', 1, 2, 3, 4))).objects[0]!.name).toBe('007');
  });

  it.each([
    ['salt &amp; pepper', 'salt & pepper'],
    ['&lt;&gt;&quot;&apos;', `<>"'`],
    ['caf&#233; &#x1F436;', 'café \u{1f436}'],
    ['&amp;lt;', '&lt;'],
    ['&#1114112;', '&#1114112;'],
    ['&unknown;', '&unknown;'],
    ['<![CDATA[a b]]>', 'a b'],
    ['\n\t\tdog \n', 'dog'],
    ['собака', 'собака'],
  ])('reads the name %s', (written, name) => {
    expect(parseVocAnnotation(vocXml(vocObject(written, 1, 2, 3, 4))).objects[0]!.name).toBe(name);
  });

  it('keeps fractions, signs and exponents', () => {
    const [object] = parseVocAnnotation(vocXml(vocObject('dog', '-0.5', ' 1.25 ', '3e1', '+.75'))).objects;
    expect(object).toMatchObject({ xmin: -0.5, ymin: 1.25, xmax: 30, ymax: 0.75 });
  });

  it.each(['NaN', 'nan', 'Infinity', '-inf', '1e999', '', 'ten', '1,5', '0x10', '1 2', '<a>1</a>'])(
    'reads the coordinate "%s" as NaN',
    (written) => {
      const [object] = parseVocAnnotation(vocXml(vocObject('dog', written, 2, 3, 4))).objects;
      expect(object).toEqual({ name: 'dog', xmin: Number.NaN, ymin: 2, xmax: 3, ymax: 4, difficult: false });
    },
  );

  it('reads what is missing or there twice as nothing', () => {
    const nothing = {
      name: '',
      xmin: Number.NaN,
      ymin: Number.NaN,
      xmax: Number.NaN,
      ymax: Number.NaN,
      difficult: false,
    };
    const twice = '<object><name>a</name><name>b</name><bndbox/><bndbox><xmin>1</xmin></bndbox></object>';
    expect(parseVocAnnotation(vocXml(`<object/><object>text</object>${twice}`)).objects).toEqual([
      nothing,
      nothing,
      nothing,
    ]);
  });

  it('does not take the parts of a person for objects, nor a part for the whole', () => {
    const part = (name: string) =>
      `<part><name>${name}</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>10</xmax><ymax>10</ymax></bndbox></part>`;
    const person = vocObject('person', 1, 2, 30, 40, part('head') + part('hand'));
    const { objects } = parseVocAnnotation(vocXml(person));
    expect(objects).toEqual([{ name: 'person', xmin: 1, ymin: 2, xmax: 30, ymax: 40, difficult: false }]);
    const headless = parseVocAnnotation(vocXml(`<object>${part('head')}</object>`)).objects;
    expect(headless).toMatchObject([{ name: '', xmin: Number.NaN }]);
  });

  it.each([
    ['0', '0'],
    ['', ''],
    ['wide', '48'],
    ['64', 'NaN'],
  ])('does not believe a size of "%s" by "%s"', (width, height) => {
    const size = `<size><width>${width}</width><height>${height}</height></size>`;
    expect(parseVocAnnotation(vocXml('', size))).toEqual({ objects: [] });
  });

  it('reads the flags that tools write for difficult', () => {
    const flag = (written: string) => vocObject('dog', 1, 2, 3, 4, `<difficult>${written}</difficult>`);
    const { objects } = parseVocAnnotation(vocXml(['1', 'True', '0', 'Unspecified', ''].map(flag).join('')));
    expect(objects.map(({ difficult }) => difficult)).toEqual([true, true, false, false, false]);
  });

  it.each<[string, string, string]>([
    ['an empty text', '', 'Start tag expected'],
    ['plain text', 'not XML at all', "char 'n' is not expected"],
    ['an unclosed element', '<annotation><object></annotation>', "Expected closing tag 'object'"],
    ['an unclosed root', '<annotation>', "Unclosed tag 'annotation'"],
    ['a text that stops in the middle', vocXml(dog).slice(0, 200), 'found'],
    ['mismatched elements', '<annotation><a></b></annotation>', "Expected closing tag 'a'"],
    ['two roots', '<annotation/><annotation></annotation><a></a>', 'Multiple possible root nodes'],
    ['another root', '<annotations></annotations>', 'its root element is not <annotation>'],
    ['JSON', '{"objects": []}', "char '{' is not expected"],
    ['a document type', `<!DOCTYPE annotation SYSTEM "file:///etc/passwd">${vocXml(dog)}`, 'declares a document type'],
    [
      'an entity',
      `<!doctype a [<!entity x "dog">]>${vocXml(vocObject('&x;', 1, 2, 3, 4))}`,
      'declares a document type',
    ],
    ['deep nesting', vocXml('<a>'.repeat(40) + '</a>'.repeat(40)), 'nested'],
    ['endless nesting', '<a>'.repeat(200_000) + '</a>'.repeat(200_000), 'characters'],
    [
      'too much of it',
      vocXml('<object/>'.repeat(MAX_ANNOTATION_BYTES / 9)),
      `more than ${MAX_ANNOTATION_BYTES} characters`,
    ],
    ['elements without number', vocXml('<a/>'.repeat(20_000)), 'more than 20000 elements'],
    ['names without number', vocXml(Array.from({ length: 200 }, (_, i) => `<a${i}/>`).join('')), 'more than 200 names'],
    ['a bad name that goes on and on', '<'.repeat(100_000), "Tag '<<<"],
  ])('refuses %s', (_, xml, reason) => {
    const error = (() => {
      try {
        return parseVocAnnotation(xml, 'annotation "a.xml"');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toMatchObject({ name: 'DetectorError', code: 'ANNOTATION_INVALID' });
    expect((error as Error).message).toContain('Cannot read annotation "a.xml" as Pascal VOC XML: ');
    expect((error as Error).message).toContain(reason);
    expect((error as Error).message.length).toBeLessThan(300);
  });

  it('gives the line of a mistake', () => {
    expect(() => parseVocAnnotation('<annotation>\n<size>\n</annotation>')).toThrow(
      /Cannot read the annotation .* \(line 3\)/,
    );
  });

  it('is not fooled by names that objects inherit', () => {
    expect(parseVocAnnotation('<annotation><toString><object/></toString></annotation>')).toEqual({ objects: [] });
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      const polluting = `<annotation><${name}><object/></${name}></annotation>`;
      expect(() => parseVocAnnotation(polluting)).toThrow(expect.objectContaining({ code: 'ANNOTATION_INVALID' }));
    }
    expect(({} as Record<string, unknown>).object).toBeUndefined();
  });
});

describe('readVocAnnotation', () => {
  it('reads a file, with or without a byte order mark', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'a.xml': vocXml(dog),
      'b.xml': `\ufeff<?xml version="1.0" encoding="utf-8"?>\n${vocXml(dog)}`,
    });
    const a = await readVocAnnotation(join(folder, 'a.xml'));
    expect(a.objects).toHaveLength(1);
    expect(await readVocAnnotation(join(folder, 'b.xml'))).toEqual(a);
  });

  it('names the file it cannot read', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'latin.xml': Buffer.from(vocXml(vocObject('caf\xe9', 1, 2, 3, 4)), 'latin1'),
      'empty.xml': '',
    });
    const read = (name: string) => readVocAnnotation(join(folder, name));
    await expectError(read('latin.xml'), 'ANNOTATION_INVALID', 'latin.xml', 'encoded data was not valid');
    await expectError(read('empty.xml'), 'ANNOTATION_INVALID', 'empty.xml', 'Start tag expected');
    await expectError(read('none.xml'), 'ANNOTATION_INVALID', 'none.xml', 'it does not exist');
    await expectError(read('.'), 'ANNOTATION_INVALID', folder, 'it is a directory');
  });

  it('does not read a file of 100 MB', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'huge.xml': vocXml(dog) });
    await truncate(join(folder, 'huge.xml'), 100e6);
    await expectError(readVocAnnotation(join(folder, 'huge.xml')), 'ANNOTATION_INVALID', 'huge.xml', '100000000 bytes');
  });
});
