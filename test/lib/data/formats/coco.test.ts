import { describe, expect, it } from 'vitest';
import { cocoOf, type Files, imageFiles, scenes } from '../../../support/formats.ts';
import { brief, objectsOf, openFiles } from '../../../support/open-files.ts';
import { expectError } from '../../../support/voc.ts';

const images = await imageFiles('');

type Coco = ReturnType<typeof cocoOf>;

/** COCO files with what a test changes in them. */
async function openCoco(change: (file: Coco) => unknown, files: Files = {}, name = 'coco.json') {
  const file = cocoOf(scenes);
  const text = change(file) ?? file;
  return await openFiles({ ...images, ...files, [name]: typeof text === 'string' ? text : JSON.stringify(text) });
}

describe('categories', () => {
  it.each([0, 1])('have ids from %s, and gaps', async (first) => {
    const { classes, samples } = await openCoco((file) => {
      Object.assign(file, cocoOf(scenes, first));
      file.categories[2]!.id = 90;
      for (const each of file.annotations) if (each.category_id === first + 2) each.category_id = 90;
    });
    expect(classes).toEqual(['cat', 'dog', '猫 big']);
    expect(samples.flatMap(objectsOf)).toContain('猫 big 0 0 64 48');
  });

  it('keep the order of the source, and those that no object has', async () => {
    const { classes } = await openCoco((file) => {
      file.categories.reverse();
      file.categories.push({ id: 12, name: ' bird ', supercategory: 'animal' });
    });
    expect(classes).toEqual(['猫 big', 'dog', 'cat', 'bird']);
  });

  it("are without Roboflow's first one, unless an object has it", async () => {
    const roboflow = (file: Coco) => {
      for (const category of file.categories) category.supercategory = 'pets';
      file.categories.unshift({ id: 0, name: 'pets', supercategory: 'none' });
    };
    expect((await openCoco(roboflow)).classes).toEqual(['cat', 'dog', '猫 big']);
    const used = await openCoco((file) => {
      roboflow(file);
      file.annotations[0]!.category_id = 0;
    });
    expect(used.classes).toEqual(['pets', 'cat', 'dog', '猫 big']);
  });

  it('that are not listed cost the object alone', async () => {
    const { issues, counts } = await openCoco((file) => {
      file.annotations[1]!.category_id = 99;
    });
    expect(brief(issues)).toEqual([['coco.json[1]', 'annotation-invalid', 'skipped']]);
    expect(counts).toMatchObject({ used: 2, background: 1 });
  });
});

describe('images', () => {
  it.each([
    ['folders', 'some/where/a.jpg'],
    ['backslashes', 'C:\\data\\pets\\a.jpg'],
    ['a URL', 'https://example.org/pets/a.jpg?size=large#top'],
    ['an absolute path', '/home/somebody/pets/a.jpg'],
    ['dots', './../a.jpg'],
  ])('are found by a file_name with %s', async (_, name) => {
    const { samples, issues } = await openCoco((file) => {
      file.images[0]!.file_name = name;
    });
    expect(issues).toEqual([]);
    expect(samples.map(objectsOf)[0]).toEqual(['dog 1 2 30 40', 'cat 8 4 16 24']);
  });

  it('of one name in two folders are told apart by the folders of file_name', async () => {
    const file = cocoOf([scenes[0]!, { ...scenes[0]!, objects: [] }]);
    file.images[0]!.file_name = 'x/a.jpg';
    file.images[1]!.file_name = 'y/a.jpg';
    const files = { 'x/a.jpg': images['a.jpg']!, 'y/a.jpg': images['b.jpg']! };
    const { samples } = await openFiles({ ...files, 'coco.json': JSON.stringify(file) });
    expect(samples.map(({ id, objects }) => [id, objects.length])).toEqual([
      ['x/a', 2],
      ['y/a', 0],
    ]);
    file.images[0]!.file_name = 'a.jpg';
    const { issues } = await openFiles({ ...files, 'coco.json': JSON.stringify(file) });
    expect(issues[0]!.message).toContain('2 files have that name: x/a.jpg, y/a.jpg');
  });

  it('that are missing, listed twice or not listed are told', async () => {
    const { issues, counts } = await openCoco(
      (file) => {
        file.images[1]!.file_name = 'B.JPG';
        file.images.push({ ...file.images[0]!, id: 99 });
        file.annotations.push({ ...file.annotations[0]!, image_id: 1234 });
      },
      { 'extra.png': images['a.jpg']! },
    );
    expect(brief(issues)).toEqual([
      ['coco.json', 'image-missing', 'skipped'],
      ['coco.json', 'image-missing', 'skipped'],
      ['coco.json', 'duplicate-id', 'skipped'],
    ]);
    expect(issues[0]!.message).toContain('1 annotations are of the image 1234, which "images" does not list');
    expect(issues[1]!.message).toContain('did you mean "b.jpg"?');
    expect(counts).toEqual({
      ...{ seen: 6, used: 2, background: 0, skipped: 2, ignored: 2 },
      ignoredBecause: { 'image that no annotation names': 2 },
    });
  });

  it('of another format are named with what to do', async () => {
    const { issues } = await openCoco(
      (file) => {
        file.images[1]!.file_name = 'c.jpg';
      },
      { 'c.bmp': 'BM' },
    );
    expect(issues[0]!.message).toContain('c.bmp is there, which is no JPEG, PNG or WebP: convert it');
  });
});

describe('annotations', () => {
  it('of crowds are left out, and told', async () => {
    const { issues, samples } = await openCoco((file) => {
      file.annotations[0]!.iscrowd = 1;
    });
    expect(samples.map(objectsOf)[0]).toEqual(['cat 8 4 16 24']);
    expect(brief(issues)).toEqual([['coco.json[0]', 'crowd', 'skipped']]);
  });

  it('have boxes with fractions, else polygons', async () => {
    const { samples } = await openCoco((file) => {
      file.annotations[0]!.bbox = [1.25, 2.5, 10.125, 20.75];
      Object.assign(file.annotations[1]!, {
        bbox: undefined,
        segmentation: [
          [5, 6, 15, 6, 15, 16],
          [2, 8, 4, 9, 3, 30],
        ],
      });
    });
    expect(samples.map(objectsOf)[0]).toEqual(['dog 1.25 2.5 11.375 23.25', 'cat 2 6 15 30']);
  });

  it('may come before the images they are of', async () => {
    const { samples, issues } = await openCoco(({ images: list, annotations, categories }) => ({
      annotations,
      categories,
      images: list,
    }));
    expect(issues).toEqual([]);
    expect(samples.map(({ objects }) => objects.length)).toEqual([2, 0, 3]);
  });

  it('without numbers leave out an image that has no others', async () => {
    const { samples, issues, counts } = await openCoco((file) =>
      JSON.stringify(file)
        .replace('"bbox":[1,2,29,38]', '"bbox":[NaN,2,29,38]')
        .replace('"bbox":[8,4,8,20]', '"bbox":"8,4,8,20"'),
    );
    expect(samples.map(({ id }) => id)).toEqual(['b', 'my photo 1']);
    expect(brief(issues)).toEqual([
      ['coco.json[0]', 'coordinate-invalid', 'skipped'],
      ['coco.json[1]', 'coordinate-invalid', 'skipped'],
      ['a.jpg', 'objects-unreadable', 'skipped'],
    ]);
    expect(counts).toMatchObject({ seen: 3, used: 1, background: 1, skipped: 1 });
  });

  it('from 0 to 1 in all images are told', async () => {
    const { issues } = await openCoco((file) => {
      for (const each of file.annotations) each.bbox = each.bbox.map((side) => side / 64);
    });
    expect(brief(issues)).toEqual([['a.jpg', 'coordinates-relative', 'kept']]);
  });
});

describe('files', () => {
  it('of Roboflow have their part from the folder', async () => {
    const files: Files = {};
    for (const part of ['train', 'valid', 'test']) {
      Object.assign(files, await imageFiles(`${part}/`), {
        [`${part}/_annotations.coco.json`]: JSON.stringify(cocoOf(scenes)),
      });
    }
    for (const split of ['train', 'valid', 'test'] as const) {
      const { samples, source } = await openFiles(files, { split });
      expect(samples.map(({ id }) => id)).toEqual(['a', 'b', 'my photo 1'].map((name) => `${split}/${name}`));
      expect(source).toContain('train/_annotations.coco.json');
    }
  });

  it("of COCO's own layout have it from their name", async () => {
    const files: Files = { ...(await imageFiles('train2017/')), ...(await imageFiles('val2017/')) };
    for (const name of ['instances_train2017', 'instances_val2017', 'person_keypoints_val2017']) {
      files[`annotations/${name}.json`] = JSON.stringify(cocoOf(scenes));
    }
    files['annotations/captions_val2017.json'] = JSON.stringify({ images: [], annotations: [{ caption: 'x' }] });
    const { samples } = await openFiles(files, { split: 'valid' });
    expect(samples.map(({ id }) => id)).toEqual(['val2017/a', 'val2017/b', 'val2017/my photo 1']);
    const alone = await openFiles(files, {}, 'annotations/instances_val2017.json');
    expect(alone.samples.map(({ id }) => id)).toEqual(['val2017/a', 'val2017/b', 'val2017/my photo 1']);
  });

  it('that are two for the same images are refused', async () => {
    const text = JSON.stringify(cocoOf(scenes));
    await expectError(openFiles({ ...images, 'a.json': text, 'b.json': text }), 'CONFIG_INVALID', 'a.json and b.json');
  });

  it.each([
    ['cut short', (text: string) => text.slice(0, -30), 'it ends too early'],
    ['with more behind', (text: string) => `${text}{}`, 'something follows its end'],
    [
      'with a comma too many',
      (text: string) => text.replace('"iscrowd":0', '"iscrowd":0,'),
      'annotations[0] is no JSON',
    ],
    [
      'nested too deep',
      (text: string) => text.replace('"segmentation":[]', `"segmentation":${'['.repeat(99)}`),
      'nested more than 64',
    ],
    ['without images', (text: string) => text.replace('"images"', '"pictures"'), 'it has no images'],
  ])('%s are refused', async (_, change, reason) => {
    const opening = openCoco((file) => change(JSON.stringify(file)));
    await expectError(opening, 'ANNOTATION_INVALID', 'coco.json', 'as COCO JSON', reason);
  });

  it.each<[string, BufferEncoding]>([
    ['UTF-8', 'utf8'],
    ['UTF-16', 'utf16le'],
  ])('are read with the byte order mark of %s', async (_, encoding) => {
    const bytes = Buffer.from(`\ufeff${JSON.stringify(cocoOf(scenes))}`, encoding);
    const { classes } = await openFiles({ ...images, 'coco.json': bytes });
    expect(classes).toEqual(['cat', 'dog', '猫 big']);
  });
});
