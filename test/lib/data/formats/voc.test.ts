import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VocDataset } from '../../../../lib/data/voc-dataset.ts';
import { type Files, imageFiles } from '../../../support/formats.ts';
import { brief, openFiles } from '../../../support/open-files.ts';
import { expectError, temporaryFolder, vocObject, vocXml, writeFiles } from '../../../support/voc.ts';

const { 'a.jpg': jpeg, 'b.jpg': other } = await imageFiles('');
const dog = vocXml(vocObject('dog', 1, 2, 30, 40));
const ids = ({ samples }: { samples: readonly { id: string }[] }) => samples.map(({ id }) => id);

describe('folders', () => {
  it.each<[string, Files, string[]]>([
    ['side by side', { 'a.jpg': jpeg!, 'a.xml': dog, 'b.png': other!, 'b.xml': dog }, ['a', 'b']],
    ['apart', { 'images/a.jpg': jpeg!, 'labels/a.xml': dog }, ['a']],
    [
      'nested',
      { 'photos/x/a.jpg': jpeg!, 'annots/x/a.xml': dog, 'photos/y/a.jpg': other!, 'annots/y/a.xml': dog },
      ['x/a', 'y/a'],
    ],
    [
      'nested on one side',
      { 'images/x/a.jpg': jpeg!, 'images/y/b.jpg': other!, 'xml/a.xml': dog, 'xml/b.xml': dog },
      ['x/a', 'y/b'],
    ],
  ])('%s', async (_, files, expected) => {
    const dataset = await openFiles(files);
    expect(ids(dataset)).toEqual(expected);
    expect(dataset.issues).toEqual([]);
  });

  it('count all that lies in them', async () => {
    const files = { 'images/a.jpg': jpeg!, 'labels/a.xml': dog, 'images/b.jfif': other!, 'labels/b.xml': dog };
    const more = {
      'images/c.jpg': other!,
      'labels/d.xml': dog,
      'images/e.bmp': 'BM',
      'labels/e.xml': dog,
      'images/notes.md': 'x',
    };
    const { issues, counts } = await openFiles({ ...files, ...more });
    expect(brief(issues)).toEqual([
      ['c.jpg', 'annotation-missing', 'skipped'],
      ['d.xml', 'image-missing', 'skipped'],
      ['e.xml', 'image-missing', 'skipped'],
    ]);
    expect(issues[2]!.message).toContain('images/e.bmp is there, which is no JPEG, PNG or WebP: convert it');
    expect(counts).toMatchObject({ seen: 7, used: 2, background: 0, skipped: 3, ignored: 2 });
  });

  it('that are exchanged are said to be', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'i/a.jpg': jpeg!, 'l/a.xml': dog });
    const opening = VocDataset.open({ images: join(folder, 'l'), annotations: join(folder, 'i'), classes: ['dog'] });
    await expectError(opening, 'DATASET_EMPTY', 'The folders are exchanged', 'Exchange them');
  });

  it('of an annotation are asked for instead of the file', async () => {
    await expectError(openFiles({ 'a.xml': dog, 'a.jpg': jpeg! }, {}, 'a.xml'), 'CONFIG_INVALID', 'Give the folder');
  });

  it('leave out an image none of whose objects can be read, unless it is asked for', async () => {
    const files = {
      'a.jpg': jpeg!,
      'a.xml': vocXml(vocObject('dog', '10,5', 2, 30, 40)),
      'b.jpg': other!,
      'b.xml': dog,
    };
    const { counts, issues } = await openFiles(files);
    expect(counts).toMatchObject({ used: 1, background: 0, skipped: 1 });
    expect(issues[0]!.message).toContain('xmin is "10,5": a number has a decimal point, not a comma');
    expect((await openFiles(files, { keepUnreadable: true })).counts).toMatchObject({
      used: 1,
      background: 1,
      skipped: 0,
    });
  });
});

describe('the development kit', () => {
  const kit = (root: string, lists: Record<string, string>): Files => ({
    [`${root}JPEGImages/000001.jpg`]: jpeg!,
    [`${root}JPEGImages/sub/000002.jpg`]: other!,
    [`${root}JPEGImages/my dog.jpg`]: other!,
    [`${root}Annotations/000001.xml`]: dog,
    [`${root}Annotations/sub/000002.xml`]: dog,
    [`${root}Annotations/my dog.xml`]: dog,
    ...Object.fromEntries(Object.entries(lists).map(([name, text]) => [`${root}ImageSets/Main/${name}.txt`, text])),
  });

  it.each([
    ['extension and column', '000001.jpg 1\nsub/000002.jpg -1\nmy dog.jpg 0\n'],
    ['quotes', '"000001"\r\n"sub/000002" 1\r\n\'my dog\' -1\r\n'],
    ['a byte order mark', '\ufeff000001\nsub/000002\nmy dog\n'],
  ])('takes lists with %s', async (_, list) => {
    const dataset = await openFiles(kit('', { train: list }), { split: 'train' });
    expect(ids(dataset)).toEqual(['000001', 'my dog', 'sub/000002']);
    expect(dataset.issues).toEqual([]);
  });

  it('has a part for each list; trainval stands in for train, and lists of one class are none', async () => {
    const files = kit('', {
      trainval: '000001\nmy dog\n',
      val: 'my dog\n',
      dog_train: '000001 1\n',
      test: 'sub/000002\n',
    });
    const train = await openFiles(files, { split: 'train' });
    expect(ids(train)).toEqual(['000001', 'my dog']);
    expect(train.counts).toMatchObject({ seen: 3, used: 2, ignored: 1 });
    expect(Object.keys(train.counts.ignoredBecause)).toEqual(['image that the list "trainval" does not have']);
    expect(ids(await openFiles(files, { split: 'test' }))).toEqual(['sub/000002']);
  });

  it('may be two years side by side', async () => {
    const files = {
      ...kit('VOC2007/', { train: '000001\n' }),
      ...kit('VOC2012/', { train: 'my dog\n', val: '000001\n' }),
    };
    expect(ids(await openFiles(files, { split: 'train' }))).toEqual(['VOC2007/000001', 'VOC2012/my dog']);
    expect(ids(await openFiles(files, { split: 'valid' }))).toEqual(['VOC2012/000001']);
  });

  it('names the lists that are there', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, kit('', { train: '000001\n', val: 'my dog\n' }));
    const opening = VocDataset.open({ root: folder, split: 'tran', classes: ['dog'] });
    await expectError(opening, 'DATASET_NOT_FOUND', 'did you mean "train"?', 'there are train, val');
  });
});

it('reads the data set file of this project', async () => {
  const yaml = 'VOC_ROOT: voc\nTRAIN_SPLIT: train\nVALID_SPLIT: train\nCLASSES: [dog]\n';
  const voc = { 'voc/JPEGImages/a.jpg': jpeg!, 'voc/Annotations/a.xml': dog, 'voc/ImageSets/Main/train.txt': 'a\n' };
  const { source, classes, length } = await openFiles({ ...voc, 'pets.yaml': yaml }, { split: 'valid' });
  expect(source).toBe('data set file (pets.yaml)');
  expect([classes, length]).toEqual([['dog'], 1]);
});
