import { copyFile, mkdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DatasetIssue } from '../../../lib/data/dataset-issue.ts';
import { VocDataset, type VocDatasetOptions } from '../../../lib/data/voc-dataset.ts';
import { bccdRoot, hasBccd } from '../../support/shared.ts';
import {
  expectError,
  noise,
  pngOfSize,
  solid,
  temporaryFolder,
  vocObject,
  vocXml,
  writeFiles,
} from '../../support/voc.ts';

const classes = ['__background__', 'dog', 'pottedplant', '007'];
const jpeg = await solid(64, 48).jpeg().toBuffer();
const png = await solid(64, 48).png().toBuffer();
const webp = await solid(64, 48).webp().toBuffer();
const dog = vocXml(vocObject('dog', 1, 2, 30, 40));

/** Opens a data set of the article's layout, made of `images/*` and `labels/*`. */
async function openFolders(files: Record<string, string | Uint8Array>, more: Partial<VocDatasetOptions> = {}) {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'images'));
  await mkdir(join(folder, 'labels'));
  await writeFiles(folder, files);
  const images = join(folder, 'images');
  return await VocDataset.open({ images, annotations: join(folder, 'labels'), classes, ...more } as VocDatasetOptions);
}

/** Opens one image with these objects. */
async function openObjects(...objects: string[]) {
  return await openFolders({ 'images/a.jpg': jpeg, 'labels/a.xml': vocXml(objects.join('')) });
}

const brief = (issues: readonly DatasetIssue[]) =>
  issues.map(({ file, object, kind, action }) => [
    file.split(/[/\\]/).slice(-2).join('/') + (object === undefined ? '' : `[${object}]`),
    kind,
    action,
  ]);

describe('the folders of the article', () => {
  it('finds images of every extension and letter case, in code-unit order', async () => {
    const dataset = await openFolders({
      'images/b.JPG': jpeg,
      'images/a.b.jpeg': jpeg,
      'images/c.Png': png,
      'images/B.webp': webp,
      'images/10.jpg': jpeg,
      'images/9.jpg': jpeg,
      'images/notes.txt': 'not looked at',
      'images/._b.JPG': 'written by an operating system',
      ...Object.fromEntries(['b', 'a.b', 'c', 'B', '10'].map((id) => [`labels/${id}.xml`, dog])),
      'labels/9.XML': dog,
    });
    expect(dataset.samples.map(({ id }) => id)).toEqual(['10', '9', 'B', 'a.b', 'b', 'c']);
    expect(dataset.length).toBe(6);
    expect(dataset.issues).toEqual([]);
    expect(dataset.classes).toEqual(classes.slice(1));
    expect(dataset.samples[5]).toEqual({
      id: 'c',
      imagePath: expect.stringMatching(/images.c\.Png$/),
      width: 64,
      height: 48,
      objects: [{ label: 'dog', labelIndex: 1, box: { xmin: 1, ymin: 2, xmax: 30, ymax: 40 }, difficult: false }],
    });
  });

  it('reports what has no counterpart', async () => {
    const dataset = await openFolders({
      'images/a.jpg': jpeg,
      'images/b.jpg': jpeg,
      'labels/b.xml': dog,
      'labels/c.xml': dog,
    });
    expect(dataset.samples.map(({ id }) => id)).toEqual(['b']);
    expect(brief(dataset.issues)).toEqual([
      ['images/a.jpg', 'annotation-missing', 'skipped'],
      ['labels/c.xml', 'image-missing', 'skipped'],
    ]);
  });

  it('reports a second image of the same name', async () => {
    const dataset = await openFolders({ 'images/a.jpg': jpeg, 'images/a.png': png, 'labels/a.xml': dog });
    expect(dataset.samples[0]!.imagePath).toMatch(/a\.jpg$/);
    expect(dataset.length).toBe(1);
    expect(brief(dataset.issues)).toEqual([['images/a.png', 'duplicate-file', 'skipped']]);
  });

  it('keeps an image without objects', async () => {
    const dataset = await openFolders({ 'images/a.jpg': jpeg, 'labels/a.xml': vocXml('') });
    expect(dataset.samples[0]!.objects).toEqual([]);
    expect(dataset.counts).toMatchObject({ seen: 1, used: 0, background: 1 });
    expect(brief(dataset.issues)).toEqual([['images/a.jpg', 'no-objects', 'kept']]);
  });

  it('names a folder that is not there, and what sets it', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { file: 'x' });
    const open = (images: string, annotations: string) =>
      VocDataset.open({ images: join(folder, images), annotations: join(folder, annotations), classes });
    await expectError(open('none', '.'), 'DATASET_NOT_FOUND', join(folder, 'none'), 'TRAIN_IMG', 'images option');
    await expectError(
      open('.', 'file'),
      'DATASET_NOT_FOUND',
      join(folder, 'file'),
      'TRAIN_ANNOT',
      'annotations option',
    );
  });
});

describe('the layout of the VOC development kit', () => {
  async function openRoot(list: string | Uint8Array, files: Record<string, string | Uint8Array> = {}) {
    const root = await temporaryFolder();
    await writeFiles(root, {
      'JPEGImages/a.jpg': jpeg,
      'JPEGImages/b.png': png,
      'JPEGImages/my dog.jpg': jpeg,
      'Annotations/a.xml': dog,
      'Annotations/b.xml': dog,
      'Annotations/my dog.xml': dog,
      'ImageSets/Main/train.txt': list,
      'outside.jpg': jpeg,
      'outside.xml': dog,
      ...files,
    });
    return await VocDataset.open({ root, split: 'train', classes });
  }

  it('takes the listed images only, in code-unit order', async () => {
    const dataset = await openRoot('b\na\n');
    expect(dataset.samples.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(dataset.issues).toEqual([]);
  });

  it('takes a second column, blank lines, line ends of Windows, a byte order mark and blanks in a name', async () => {
    const dataset = await openRoot('\ufeffb -1\r\n\r\n  a\t 1 \r\nmy dog\r\n');
    expect(dataset.samples.map(({ id }) => id)).toEqual(['a', 'b', 'my dog']);
    expect(dataset.issues).toEqual([]);
  });

  it.each(['../outside', '..', '..\\outside', '/etc/passwd', 'JPEGImages/a', 'a\0'])(
    'never looks up the id %j',
    async (id) => {
      const dataset = await openRoot(`a\n${id}\n`);
      expect(dataset.samples.map(({ id }) => id)).toEqual(['a']);
      expect(brief(dataset.issues)).toEqual([['Main/train.txt', 'id-invalid', 'skipped']]);
      expect(dataset.issues[0]!.message).toContain(JSON.stringify(id));
    },
  );

  it('reports ids that have no image, no annotation, or came before', async () => {
    const dataset = await openRoot('a\na\nnone\nc\n', { 'JPEGImages/c.jpg': jpeg });
    expect(dataset.samples.map(({ id }) => id)).toEqual(['a']);
    expect(brief(dataset.issues)).toEqual([
      ['Main/train.txt', 'duplicate-id', 'skipped'],
      ['JPEGImages/c.jpg', 'annotation-missing', 'skipped'],
      ['JPEGImages/none', 'image-missing', 'skipped'],
    ]);
  });

  it('names a list or a folder that is not there, and an empty list', async () => {
    const root = await temporaryFolder();
    await writeFiles(root, { 'JPEGImages/a.jpg': jpeg, 'Annotations/a.xml': dog, 'ImageSets/Main/empty.txt': '\n' });
    const open = (split: string) => VocDataset.open({ root, split, classes });
    await expectError(
      open('val'),
      'DATASET_NOT_FOUND',
      'split "val"',
      join('ImageSets', 'Main', 'val.txt'),
      'VALID_SPLIT',
    );
    await expectError(open('empty'), 'DATASET_EMPTY', 'split "empty"', 'no image with an annotation is left');
    await rm(join(root, 'Annotations'), { recursive: true });
    await expectError(open('empty'), 'DATASET_NOT_FOUND', join(root, 'Annotations'), 'VOC_ROOT');
  });
});

describe('objects', () => {
  it('keeps fractions, difficult objects and boxes at the edges as they are, and 007 a class', async () => {
    const difficult = '<difficult>1</difficult>';
    const dataset = await openObjects(
      vocObject('007', 0, 0, 64, 48, difficult),
      vocObject('pottedplant', 0.5, 1.25, 2, 3),
    );
    expect(dataset.issues).toEqual([]);
    expect(dataset.samples[0]!.objects).toEqual([
      { label: '007', labelIndex: 3, box: { xmin: 0, ymin: 0, xmax: 64, ymax: 48 }, difficult: true },
      { label: 'pottedplant', labelIndex: 2, box: { xmin: 0.5, ymin: 1.25, xmax: 2, ymax: 3 }, difficult: false },
    ]);
  });

  it('clips a box that reaches beyond the image, and says so', async () => {
    const dataset = await openObjects(vocObject('dog', -3, 5, 64.5, 99));
    expect(dataset.samples[0]!.objects[0]!.box).toEqual({ xmin: 0, ymin: 5, xmax: 64, ymax: 48 });
    expect(dataset.issues).toEqual([
      {
        file: expect.stringMatching(/labels.a\.xml$/),
        object: 0,
        kind: 'box-clipped',
        message: '[-3, 5, 64.5, 99] reaches beyond the image of 64 x 48',
        action: 'repaired',
      },
    ]);
  });

  it.each<[string, string, string, string]>([
    ['a turned box', vocObject('dog', 30, 2, 1, 40), 'box-empty', '[30, 2, 1, 40] needs xmin < xmax'],
    ['a box without height', vocObject('dog', 1, 2, 3, 2), 'box-empty', '[1, 2, 3, 2]'],
    ['a box thinner than float32 can tell', vocObject('dog', 50, 2, 50.000001, 40), 'box-empty', '50.000001'],
    [
      'a box right of the image',
      vocObject('dog', 64, 2, 70, 40),
      'box-outside',
      '[64, 2, 70, 40] lies outside the image of 64 x 48',
    ],
    ['a box above the image', vocObject('dog', 1, -9, 30, 0), 'box-outside', '[1, -9, 30, 0]'],
    ['NaN', vocObject('dog', 'NaN', 2, 30, 40), 'coordinate-invalid', 'xmin is "NaN"'],
    ['infinity', vocObject('dog', 1, 2, 'inf', 40), 'coordinate-invalid', 'xmax is "inf"'],
    ['no box', '<object><name>dog</name></object>', 'coordinate-invalid', 'expected four finite numbers in <bndbox>'],
    ['no name', '<object><bndbox/></object>', 'annotation-invalid', 'it has no <name>'],
    [
      'an unknown class',
      vocObject('potted plant', 1, 2, 3, 4),
      'unknown-class',
      '"potted plant" is not in the class list; did you mean "pottedplant"?',
    ],
    ['another letter case', vocObject('Dog', 1, 2, 3, 4), 'unknown-class', 'did you mean "dog"?'],
    ['a leading zero less', vocObject('07', 1, 2, 3, 4), 'unknown-class', 'did you mean "007"?'],
    [
      'the background',
      vocObject('__background__', 1, 2, 3, 4),
      'unknown-class',
      '"__background__" is not in the class list',
    ],
    ['a very long name', vocObject('x'.repeat(100_000), 1, 2, 3, 4), 'unknown-class', `"${'x'.repeat(80)}..." is not`],
  ])('skips %s, and keeps the others', async (_, bad, kind, message) => {
    const dataset = await openObjects(vocObject('dog', 1, 2, 30, 40), bad, vocObject('dog', 5, 5, 10, 10));
    expect(dataset.samples[0]!.objects.map(({ box }) => box.xmin)).toEqual([1, 5]);
    expect(brief(dataset.issues)).toEqual([['labels/a.xml[1]', kind, 'skipped']]);
    expect(dataset.issues[0]!.message).toContain(message);
    expect(dataset.issues[0]!.message.length).toBeLessThan(200);
  });

  it('reads an EXIF-rotated image upright, unless <size> fits the stored one alone', async () => {
    const turned = await solid(48, 64).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const open = (size: string, exif?: 'apply' | 'ignore') =>
      openFolders(
        { 'images/a.jpg': turned, 'labels/a.xml': vocXml(vocObject('dog', 1, 2, 30, 40), size) },
        exif ? { exif } : {},
      );
    const sizeOf = (width: number, height: number) => `<size><width>${width}</width><height>${height}</height></size>`;
    const upright = { width: 64, height: 48 };
    const stored = { width: 48, height: 64, stored: true };

    for (const size of ['', sizeOf(64, 48)]) {
      const dataset = await open(size);
      expect(dataset.samples[0]).toMatchObject(upright);
      expect(dataset.samples[0]).not.toHaveProperty('stored');
      expect(dataset.issues).toEqual([]);
    }
    const asStored = await open(sizeOf(48, 64));
    expect(asStored.samples[0]).toMatchObject(stored);
    expect(brief(asStored.issues)).toEqual([['labels/a.xml', 'orientation', 'kept']]);
    expect(asStored.issues[0]!.message).toContain('<size> is that of the stored image, 48 x 64');

    const applied = await open(sizeOf(48, 64), 'apply');
    expect(applied.samples[0]).toMatchObject(upright);
    expect(brief(applied.issues)).toEqual([['labels/a.xml', 'size-mismatch', 'kept']]);
    expect((await open('', 'ignore')).samples[0]).toMatchObject(stored);
    const other = await open(sizeOf(640, 480));
    expect(other.issues[0]!.message).toBe('<size> is 640 x 480, the image 64 x 48');
  });

  it('fails when none of them is left', async () => {
    const opening = openObjects(vocObject('cow', 1, 2, 3, 4), vocObject('sheep', 1, 2, 3, 4));
    await expectError(
      opening,
      'DATASET_EMPTY',
      'none of the annotated objects could be used',
      '2 unknown-class',
      '"cow" is not',
    );
  });
});

describe('bad files', () => {
  it('reports each, with its reason, and keeps the good ones', async () => {
    const cut = (await noise(64, 48).jpeg().toBuffer()).subarray(0, -200);
    const bad: Record<string, [string | Uint8Array, string]> = {
      'truncated.jpg': [cut, 'premature end'],
      'empty.jpg': ['', '0 bytes'],
      'text.jpg': ['hello', 'found format unknown'],
      'svg.png': ['<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"/>', 'found format SVG'],
      'bomb.png': [await pngOfSize(12_000, 12_000), '12000 x 12000 pixels'],
    };
    const names = Object.keys(bad);
    const dataset = await openFolders({
      'images/good.jpg': jpeg,
      'labels/good.xml': dog,
      ...Object.fromEntries(names.map((name) => [`images/${name}`, bad[name]![0]])),
      ...Object.fromEntries(names.map((name) => [`labels/${name.split('.')[0]}.xml`, dog])),
    });
    expect(dataset.samples.map(({ id }) => id)).toEqual(['good']);
    expect(brief(dataset.issues)).toEqual(
      names.sort().map((name) => [`images/${name}`, 'image-unreadable', 'skipped']),
    );
    for (const [i, name] of names.entries())
      expect(dataset.issues[i]!.message.toLowerCase()).toContain(bad[name]![1].toLowerCase());
  });

  it('sees no truncation when told to read headers only', async () => {
    const cut = (await noise(64, 48).jpeg().toBuffer()).subarray(0, -200);
    const files = { 'images/a.jpg': cut, 'labels/a.xml': dog };
    const dataset = await openFolders(files, { verifyImages: false });
    expect(dataset.samples[0]).toMatchObject({ width: 64, height: 48 });
    await expectError(openFolders(files), 'DATASET_EMPTY', 'no image with an annotation is left', 'image-unreadable');
  });

  it('takes grey, CMYK and 16-bit images', async () => {
    const dataset = await openFolders({
      'images/cmyk.jpg': await solid(64, 48).toColourspace('cmyk').jpeg().toBuffer(),
      'images/deep.png': await solid(64, 48).toColourspace('rgb16').png().toBuffer(),
      'images/grey.jpg': await solid(64, 48).toColourspace('b-w').jpeg().toBuffer(),
      ...Object.fromEntries(['cmyk', 'deep', 'grey'].map((id) => [`labels/${id}.xml`, dog])),
    });
    expect(dataset.length).toBe(3);
    expect(dataset.issues).toEqual([]);
  });

  it('reports annotations that are no XML, and keeps the good ones', async () => {
    const bad = {
      empty: '',
      entity: `<!DOCTYPE a [<!ENTITY x "dog">]>${vocXml(vocObject('&x;', 1, 2, 3, 4))}`,
      mismatched: '<annotation><object></annotation></object>',
      unclosed: dog.slice(0, -20),
    };
    const ids = Object.keys(bad) as (keyof typeof bad)[];
    const dataset = await openFolders({
      'images/good.jpg': jpeg,
      'labels/good.xml': dog,
      ...Object.fromEntries(ids.map((id) => [`images/${id}.jpg`, jpeg])),
      ...Object.fromEntries(ids.map((id) => [`labels/${id}.xml`, bad[id]])),
    });
    expect(dataset.samples.map(({ id }) => id)).toEqual(['good']);
    expect(brief(dataset.issues)).toEqual(ids.map((id) => [`labels/${id}.xml`, 'annotation-invalid', 'skipped']));
  });

  it('reports both when image and annotation are bad', async () => {
    const files = { 'images/a.jpg': 'x', 'labels/a.xml': 'x', 'images/b.jpg': jpeg, 'labels/b.xml': dog };
    expect(brief((await openFolders(files)).issues)).toEqual([
      ['labels/a.xml', 'annotation-invalid', 'skipped'],
      ['images/a.jpg', 'image-unreadable', 'skipped'],
    ]);
  });

  it('lists the first ten issues when nothing is left', async () => {
    const ids = Array.from({ length: 12 }, (_, i) => `image${i + 10}`);
    const files = Object.fromEntries(ids.map((id) => [`images/${id}.jpg`, jpeg]));
    const opening = openFolders(files);
    await expectError(
      opening,
      'DATASET_EMPTY',
      '12 issues: 12 annotation-missing',
      'image10.jpg',
      'image19.jpg',
      '... and 2 more',
    );
    await expect(opening).rejects.not.toThrow('image20.jpg');
  });
});

describe('options', () => {
  const two = { 'images/a.jpg': jpeg, 'images/b.jpg': jpeg, 'labels/a.xml': dog, 'labels/b.xml': dog };

  it('tells how far it is', async () => {
    const calls: [number, number][] = [];
    await openFolders(two, { onProgress: (done, total) => calls.push([done, total]) });
    expect(calls).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });

  it('ends with what onProgress throws, and begins nothing more', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [
        [`images/${i}.jpg`, jpeg],
        [`labels/${i}.xml`, dog],
      ]).flat(),
    );
    let calls = 0;
    const onProgress = () => {
      calls++;
      throw new Error('mine');
    };
    await expect(openFolders(many, { onProgress })).rejects.toThrow('mine');
    expect(calls).toBeLessThanOrEqual(4);
  });

  it('ends with the reason of its signal, before and in the middle', async () => {
    await expect(openFolders(two, { signal: AbortSignal.abort('early') })).rejects.toBe('early');
    const abort = new AbortController();
    const opening = openFolders(two, { signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) });
    await expect(opening).rejects.toThrow('enough');
  });

  it.each<[string, object, RegExp]>([
    ['an unknown option', { images: 'a', annotations: 'b', classes, verifyImage: true }, /did you mean "verifyImages"/],
    ['no source', { classes }, /Expected options images and annotations, or root and split, but received none of them/],
    ['half a source', { images: 'a', classes }, /but received images$/],
    [
      'both sources',
      { images: 'a', annotations: 'b', root: 'c', split: 'd', classes },
      /received annotations, images, root, split$/,
    ],
    ['an empty path', { images: '', annotations: 'b', classes }, /non-empty string for images/],
    ['a split that is a number', { root: 'a', split: 1, classes }, /non-empty string for split/],
    ['no classes', { images: 'a', annotations: 'b' }, /array of class names .* for classes/],
    [
      'a late background',
      { images: 'a', annotations: 'b', classes: ['dog', '__background__'] },
      /may only stand first/,
    ],
    ['a signal that is none', { images: 'a', annotations: 'b', classes, signal: {} }, /AbortSignal for signal/],
    ['a progress that is none', { images: 'a', annotations: 'b', classes, onProgress: 1 }, /function for onProgress/],
    ['a flag that is none', { images: 'a', annotations: 'b', classes, verifyImages: 'no' }, /boolean for verifyImages/],
    ['nothing', [], /Expected object for options but received array/],
  ])('refuses %s', async (_, options, message) => {
    const error = await VocDataset.open(options as VocDatasetOptions).catch((reason) => reason);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    expect(error.message).toMatch(message);
  });
});

describe.skipIf(!hasBccd)('BCCD', () => {
  // Counted in the XML files with a regular expression; one RBC of train and one of val is a point.
  it.each([
    ['train', 205, { RBC: 2381, WBC: 214, Platelets: 209 }, ['Annotations/BloodImage_00343.xml[3]']],
    ['val', 87, { RBC: 967, WBC: 87, Platelets: 83 }, ['Annotations/BloodImage_00338.xml[12]']],
    ['test', 72, { RBC: 805, WBC: 71, Platelets: 69 }, []],
  ])('has the images and objects of split %s', async (split, length, counts, points) => {
    const classes = ['__background__', 'RBC', 'WBC', 'Platelets'];
    const dataset = await VocDataset.open({ root: bccdRoot, split, classes });
    expect(dataset.length).toBe(length);
    expect(dataset.samples.every(({ width, height }) => width === 640 && height === 480)).toBe(true);
    const objects = dataset.samples.flatMap((sample) => sample.objects);
    for (const [label, count] of Object.entries(counts)) {
      expect(objects.filter((object) => object.label === label && classes[object.labelIndex] === label)).toHaveLength(
        count,
      );
    }
    expect(brief(dataset.issues)).toEqual(points.map((file) => [file, 'box-empty', 'skipped']));
  });

  it('reads a photograph cut short as unreadable', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'labels/a.xml': dog, 'labels/b.xml': dog, 'images/b.jpg': jpeg });
    await copyFile(join(bccdRoot, 'JPEGImages', 'BloodImage_00001.jpg'), join(folder, 'images', 'a.jpg'));
    const open = () =>
      VocDataset.open({ images: join(folder, 'images'), annotations: join(folder, 'labels'), classes });
    expect(brief((await open()).issues)).toEqual([['labels/a.xml', 'size-mismatch', 'kept']]);
    await truncate(join(folder, 'images', 'a.jpg'), (await stat(join(folder, 'images', 'a.jpg'))).size - 100);
    expect(brief((await open()).issues)).toEqual([['images/a.jpg', 'image-unreadable', 'skipped']]);
  });
});
