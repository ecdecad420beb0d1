import { expect, it } from 'vitest';
import { cvatOf, imageFiles, scenes } from '../../../support/formats.ts';
import { brief, objectsOf, openFiles } from '../../../support/open-files.ts';
import { expectError } from '../../../support/voc.ts';

const images = await imageFiles('images/');
const text = cvatOf(scenes);
const firstBox = /<box label="dog"[^>]*>\s*<\/box>/;

const openText = async (xml: string) => await openFiles({ ...images, 'annotations.xml': xml });
const openShape = async (shape: string) => await openText(text.replace(firstBox, shape));

it.each([
  ['a turned box', '<box label="dog" xtl="10" ytl="20" xbr="30" ybr="24" rotation="90.0"/>', 'dog 18 12 22 32'],
  ['a polygon', '<polygon label="dog" points="5.5,9;20,3;8,12" occluded="0"></polygon>', 'dog 5.5 3 20 12'],
  ['an ellipse', '<ellipse label="dog" cx="20" cy="20" rx="5" ry="3"/>', 'dog 15 17 25 23'],
  ['a mask', '<mask label="dog" rle="1,2" left="3" top="4" width="10" height="20"/>', 'dog 3 4 13 24'],
])('takes the box around %s', async (_, shape, box) => {
  const { samples, issues } = await openShape(shape);
  expect(issues).toEqual([]);
  expect(objectsOf(samples[0]!)).toContain(box);
});

it('leaves out what is outside, has no area or no numbers', async () => {
  const { samples, issues } = await openShape(
    '<box label="dog" outside="1" xtl="1" ytl="2" xbr="3" ybr="4"/><box label="dog" xtl="1" ytl="2"/><points label="dog" points="1,2"/>',
  );
  expect(objectsOf(samples[0]!)).toEqual(['cat 8 4 16 24']);
  expect(brief(issues).sort()).toEqual([
    ['annotations.xml', 'annotation-invalid', 'skipped'],
    ['annotations.xml[0]', 'annotation-invalid', 'skipped'],
    ['annotations.xml[1]', 'coordinate-invalid', 'skipped'],
  ]);
});

it('has parts where images have a subset', async () => {
  const xml = text
    .replace('name="a.jpg"', 'name="a.jpg" subset="Train"')
    .replace('name="b.jpg"', 'name="b.jpg" subset="Validation"');
  const files = { ...images, 'annotations.xml': xml };
  expect((await openFiles(files, { split: 'train' })).samples.map(({ id }) => id)).toEqual(['images/a']);
  expect((await openFiles(files, { split: 'valid' })).samples.map(({ id }) => id)).toEqual(['images/b']);
});

it('reads a file of many chunks, image by image', async () => {
  const attributes = '<attribute name="a">b</attribute>'.repeat(4000);
  const long = text.replace(firstBox, `<box label="dog" xtl="1" ytl="2" xbr="30" ybr="40">${attributes}</box>`);
  expect(long.length).toBeGreaterThan(128 * 1024);
  const { samples } = await openText(long);
  expect(samples.map(({ objects }) => objects.length)).toEqual([2, 0, 3]);
});

it.each([
  ['cut short', text.slice(0, text.indexOf('</image>')), 'it ends within an <image>'],
  ['without images', '<annotations><version>1.1</version></annotations>', 'it has no <image>'],
  ['not well formed', text.replace('</box>', '</bax>'), "Expected closing tag 'box'"],
])('refuses a file that is %s', async (_, xml, reason) => {
  await expectError(openText(xml), 'ANNOTATION_INVALID', 'annotations.xml', reason);
});

it('holds back an image that never ends', async () => {
  const endless = text.replace(firstBox, `<box label="dog" xtl="${'1'.repeat(200_000)}"></box>`);
  const opening = openFiles({ ...images, 'annotations.xml': endless }, { maxAnnotationBytes: 100_000 });
  await expectError(opening, 'ANNOTATION_INVALID', 'more than the 100000 characters allowed', 'maxAnnotationBytes');
});
