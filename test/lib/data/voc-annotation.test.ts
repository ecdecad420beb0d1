import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseVocAnnotation, readVocAnnotation } from '../../../lib/data/voc-annotation.ts';
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
      const shown = written.startsWith('<') ? '' : written;
      const message = expect.stringContaining(`expected four finite numbers in <bndbox>, but xmin is "${shown}"`);
      const fault = { kind: 'coordinate-invalid', message };
      expect(object).toEqual({ name: 'dog', xmin: Number.NaN, ymin: 2, xmax: 3, ymax: 4, difficult: false, fault });
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
      fault: { kind: 'annotation-invalid', message: 'it has no <name>, or more than one' },
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
    ['endless nesting', '<a>'.repeat(200_000) + '</a>'.repeat(200_000), 'nested'],
    [
      'objects without number',
      vocXml('<object/>'.repeat(100_001)),
      '100001 objects, more than 100000. Raise maxObjects',
    ],
    ['elements without number', vocXml('<a/>'.repeat(2_000_000)), 'more than 2000000 elements'],
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

  it('reads a polygon of 100 points beside a sound box', () => {
    const points = Array.from({ length: 100 }, (_, i) => `<x${i + 1}>${i}</x${i + 1}><y${i + 1}>${i}</y${i + 1}>`).join(
      '',
    );
    const { objects } = parseVocAnnotation(vocXml(vocObject('dog', 1, 2, 30, 40, `<polygon>${points}</polygon>`)));
    expect(objects).toEqual([{ name: 'dog', xmin: 1, ymin: 2, xmax: 30, ymax: 40, difficult: false }]);
  });

  it('takes the box around a polygon or a turned box where there is no <bndbox>, and says so', () => {
    const polygon = '<polygon><x1>5</x1><y1>9</y1><x2>20</x2><y2>3</y2><x3>8</x3><y3>12</y3></polygon>';
    const points = '<polygon><pt><x>5</x><y>9</y></pt><pt><x>20</x><y>3</y></pt><pt><x>8</x><y>12</y></pt></polygon>';
    const turned = '<robndbox><cx>20</cx><cy>30</cy><w>10</w><h>4</h><angle>1.5707963267948966</angle></robndbox>';
    const read = (box: string) => parseVocAnnotation(vocXml(`<object><name>dog</name>${box}</object>`)).objects[0]!;
    for (const each of [polygon, points]) {
      expect(read(each)).toMatchObject({
        xmin: 5,
        ymin: 3,
        xmax: 20,
        ymax: 12,
        derived: expect.stringContaining('<polygon>'),
      });
    }
    const box = read(turned);
    expect(box.derived).toContain('<robndbox>');
    for (const [side, value] of Object.entries({ xmin: 18, ymin: 25, xmax: 22, ymax: 35 })) {
      expect(box[side as 'xmin']).toBeCloseTo(value, 9);
    }
  });

  it.each([
    [
      '<bndbox><xmin>10,5</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>',
      'xmin is "10,5": a number has a decimal point',
    ],
    ['<bndbox><xmin>(1, 2, 3, 4)</xmin></bndbox>', 'xmin is "(1, 2, 3, 4)": a list of numbers where one belongs'],
    ['<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax></bndbox>', 'there is no <ymax>'],
    ['<bndbox/><bndbox/>', 'there is more than one <bndbox>'],
    ['', 'there is no <bndbox>'],
  ])('says what is wrong with %s', (box, message) => {
    const [object] = parseVocAnnotation(vocXml(`<object><name>dog</name>${box}</object>`)).objects;
    expect(object!.fault).toEqual({ kind: 'coordinate-invalid', message: expect.stringContaining(message) });
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

  it('reads the encoding that a file declares, and Unicode names in one form', async () => {
    const folder = await temporaryFolder();
    const named = (name: string) => vocXml(vocObject(name, 1, 2, 3, 4));
    const utf16 = Buffer.from(`\ufeff<?xml version="1.0" encoding="UTF-16"?>${named('猫')}`, 'utf16le');
    await writeFiles(folder, {
      'latin.xml': Buffer.from(`<?xml version="1.0" encoding="ISO-8859-1"?>${named('caf\xe9')}`, 'latin1'),
      // 猫 is C3 A8 in GBK.
      'gbk.xml': Buffer.from(`<?xml version='1.0' encoding='GBK'?>${named('\xc3\xa8')}`, 'latin1'),
      'utf16.xml': utf16,
      'utf16be.xml': Buffer.from(utf16).swap16(),
      'decomposed.xml': named('cafe\u0301'),
      'unknown.xml': `<?xml version="1.0" encoding="klingon"?>${named('a')}`,
    });
    const nameIn = async (file: string) => (await readVocAnnotation(join(folder, file))).objects[0]!.name;
    expect(await nameIn('latin.xml')).toBe('café');
    expect(await nameIn('gbk.xml')).toBe('猫');
    expect(await nameIn('utf16.xml')).toBe('猫');
    expect(await nameIn('utf16be.xml')).toBe('猫');
    expect(await nameIn('decomposed.xml')).toBe('caf\u00e9');
    await expectError(readVocAnnotation(join(folder, 'unknown.xml')), 'ANNOTATION_INVALID', 'encoding "klingon"');
  });

  it('reads 10,000 objects without holding up the event loop', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'many.xml': vocXml(vocObject('dog', 1, 2, 3, 4).repeat(10_000)) });
    let [last, longest] = [performance.now(), 0];
    const watch = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const { objects } = await readVocAnnotation(join(folder, 'many.xml'));
    clearInterval(watch);
    expect(objects).toHaveLength(10_000);
    expect(longest).toBeLessThan(150); // 15 ms a slice; the machine may be busy
  });

  it('names the file it cannot read', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'latin.xml': Buffer.from(vocXml(vocObject('caf\xe9', 1, 2, 3, 4)), 'latin1'),
      'empty.xml': '',
    });
    const read = (name: string) => readVocAnnotation(join(folder, name));
    await expectError(read('latin.xml'), 'ANNOTATION_INVALID', 'latin.xml', 'encoded data was not valid');
    await expectError(read('empty.xml'), 'ANNOTATION_INVALID', 'empty.xml', 'it is empty');
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
