import { describe, expect, it } from 'vitest';
import { type Files, imageFiles, scenes, yoloOf } from '../../../support/formats.ts';
import { brief, objectsOf, openFiles } from '../../../support/open-files.ts';
import { expectError } from '../../../support/voc.ts';

const names = "names: [cat, dog, '猫 big']";
const labels = (folder: string): Files =>
  Object.fromEntries(scenes.map((scene) => [`${folder}${scene.name}.txt`, yoloOf(scene)]));
const train: Files = { ...(await imageFiles('images/train/')), ...labels('labels/train/') };

async function openLabels(text: string, more = '') {
  const image = { 'images/a.jpg': train['images/train/a.jpg']! };
  return await openFiles({ ...image, 'labels/a.txt': text, 'data.yaml': `train: images\n${names}\n${more}` });
}

describe('data.yaml', () => {
  it.each([
    ['no path', `train: images/train\n${names}`],
    ['a path that is not there', `path: ../datasets/pets\ntrain: images/train\n${names}`],
    ['a path of another machine', `path: /content/pets\ntrain: images/train\n${names}`],
    ['names as a map', 'train: images/train\nnames:\n  0: cat\n  1: dog\n  2: 猫 big'],
    ['a list of folders', `train: [images/train]\n${names}`],
    ["Roboflow's paths", `train: ../images/train\nval: ../valid/images\n${names}\nnc: 3`],
    [
      'a blank line and what else there may be',
      `\ntrain: images/train # here\nval:\n${names}\nroboflow:\n  license: MIT\n`,
    ],
  ])('is read with %s', async (_, yaml) => {
    const { samples, issues, classes } = await openFiles({ ...train, 'data.yaml': yaml }, { split: 'train' });
    expect(issues).toEqual([]);
    expect(classes).toEqual(['cat', 'dog', '猫 big']);
    expect(samples.map(({ objects }) => objects.length)).toEqual([2, 0, 3]);
  });

  it.each(['val', 'valid', 'validation'])('may call the validation part %s', async (key) => {
    const yaml = `train: images/train\n${key}: images/train\n${names}`;
    expect((await openFiles({ ...train, 'data.yaml': yaml }, { split: 'valid' })).length).toBe(3);
  });

  it('keeps gaps between the numbers of names', async () => {
    const yaml = 'train: images/train\nnames: {0: cat, 1: dog, 2: 猫 big, 7: bird}';
    expect((await openFiles({ ...train, 'data.yaml': yaml })).classes).toEqual(['cat', 'dog', '猫 big', 'bird']);
  });

  it('takes a list of images, with ./ for its own folder', async () => {
    const files = { ...train, 'data.yaml': `train: lists/train.txt\n${names}` };
    const list = './../images/train/a.jpg\r\n\r\nimages/train/my photo 1.jpg\r\nimages/train/none.jpg\n';
    const { samples, issues, counts } = await openFiles({ ...files, 'lists/train.txt': list });
    expect(samples.map(({ id }) => id)).toEqual(['images/train/a', 'images/train/my photo 1']);
    expect(brief(issues)).toEqual([['none.jpg', 'image-unreadable', 'skipped']]);
    expect(counts).toMatchObject({ seen: 4, used: 2, skipped: 1, ignored: 1 });
    expect(counts.ignoredBecause).toEqual({ 'image that the data set does not name': 1 });
  });

  it('turns the last /images/ of a path into /labels/', async () => {
    const files = { ...(await imageFiles('images/pets/images/')), ...labels('images/pets/labels/') };
    const { samples } = await openFiles({ ...files, 'data.yaml': `train: images/pets/images\n${names}` });
    expect(samples.map(({ objects }) => objects.length)).toEqual([2, 0, 3]);
  });

  it.each([
    [
      'an unknown place',
      `train: nowhere\ndownload: touch stolen\n${names}`,
      'DATASET_NOT_FOUND',
      '"download" says is never done',
    ],
    ['no part', `path: .\n${names}`, 'CONFIG_INVALID', 'it needs "train"'],
    ['too few names', `train: images/train\nnc: 5\n${names}`, 'CONFIG_INVALID', 'nc is 5, and names has 3 entries'],
    ['a name that is none', 'train: images/train\nnames: [cat, true]', 'CONFIG_INVALID', 'names[1] is no name'],
    ['a key that is no number', 'train: images/train\nnames: {a: cat}', 'CONFIG_INVALID', 'the key "a"'],
    ['an alias bomb', `train: images/train\n${names}\na: &a [x]\nb: *c`, 'CONFIG_INVALID', 'data.yaml'],
  ] as const)('with %s is refused', async (_, yaml, code, message) => {
    await expectError(openFiles({ ...train, 'data.yaml': yaml }, { split: 'train' }), code, message);
  });

  it('counts an annotation without an image, and an image with two files', async () => {
    const files = {
      ...train,
      'labels/train/z.txt': '0 0.5 0.5 1 1\n',
      'images/train/a.png': train['images/train/a.jpg']!,
    };
    const { issues, counts } = await openFiles({ ...files, 'data.yaml': `train: images/train\n${names}` });
    expect(brief(issues)).toEqual([
      ['a.png', 'duplicate-file', 'skipped'],
      ['z.txt', 'image-missing', 'skipped'],
    ]);
    expect(counts).toMatchObject({ seen: 5, used: 2, background: 1, skipped: 2 });
  });
});

describe('labels', () => {
  it('that are missing or empty are background, and a whole part without any is told', async () => {
    const yaml = `train: images/train\n${names}`;
    const { 'labels/train/a.txt': _, ...missing } = train;
    const { samples } = await openFiles({ ...missing, 'labels/train/b.txt': '\n', 'data.yaml': yaml });
    expect(samples.map(({ objects }) => objects.length)).toEqual([0, 0, 3]);
    const none = await openFiles({ ...(await imageFiles('images/train/')), 'data.yaml': yaml });
    expect(brief(none.issues)).toEqual([['a.jpg', 'no-objects', 'kept']]);
    expect(none.issues[0]!.message).toMatch(
      /none of the 3 images has an object: labels were looked for in .*labels.train/,
    );
  });

  it('of more than six columns are polygons, unless the file has key points', async () => {
    const polygon = '1 0.25 0.25 0.5 0.25 0.5 0.75 0.125 0.5\n';
    expect((await openLabels(polygon)).samples.map(objectsOf)[0]).toEqual(['dog 8 12 32 36']);
    const pose = await openLabels('1 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 2\n', 'kpt_shape: [2, 3]\n');
    expect(pose.samples.map(objectsOf)[0]).toEqual(['dog 16 12 48 36']);
    const confidence = await openLabels('1 0.5 0.5 0.5 0.5 0.87\n');
    expect(confidence.samples.map(objectsOf)[0]).toEqual(['dog 16 12 48 36']);
  });

  it('may reach a hundredth beyond the image', async () => {
    const { samples, issues } = await openLabels('0 0.5 0.5 1.01 1.01\n1 0.50000005 0.5 1.0000001 1\n');
    expect(samples.map(objectsOf)[0]).toEqual(['cat 0 0 64 48', 'dog 0 0 64 48']);
    expect(brief(issues)).toEqual([['a.txt[0]', 'box-clipped', 'repaired']]);
  });

  it.each([
    ['twice', '0 0.5 0.5 0.25 0.25', 'duplicate-object', 'line 2 repeats an earlier line'],
    ['with pixels', '0 30 20 10 10', 'coordinate-invalid', 'expected parts of the image, from 0 to 1'],
    ['with a comma', '0 0,5 0.5 0.25 0.25', 'coordinate-invalid', '"0,5" is no number'],
    ['with a name', 'dog 0.5 0.5 0.25 0.25', 'coordinate-invalid', '"dog" is no number'],
    ['of an unknown class', '3 0.5 0.5 0.25 0.25', 'unknown-class', 'class 3 is not among the 3 names'],
    ['of half a class', '0.5 0.5 0.5 0.25 0.25', 'annotation-invalid', '0.5 is no class number'],
    ['too short', '0 0.5 0.5', 'annotation-invalid', 'found 3 columns'],
    ['with half a point', '0 0.1 0.1 0.2 0.2 0.3 0.3 0.4', 'annotation-invalid', 'needs pairs of numbers'],
    ['without a width', '0 0.5 0.5 0 0.25', 'box-empty', 'xmin < xmax'],
  ])('%s cost the line alone', async (_, line, kind, message) => {
    const { samples, issues } = await openLabels(`0 0.5 0.5 0.25 0.25\n${line}\n`);
    expect(samples.map(objectsOf)[0]).toEqual(['cat 24 18 40 30']);
    expect(brief(issues)).toEqual([['a.txt[1]', kind, 'skipped']]);
    expect(issues[0]!.message).toContain(message);
  });
});

describe('folders without a YAML file', () => {
  it("have labelImg's classes.txt beside images and labels", async () => {
    const files = { ...(await imageFiles('')), ...labels(''), 'classes.txt': 'cat\r\ndog\r\n猫 big\r\n' };
    const { classes, samples, counts } = await openFiles(files);
    expect(classes).toEqual(['cat', 'dog', '猫 big']);
    expect(samples.map(({ objects }) => objects.length)).toEqual([2, 0, 3]);
    expect(counts).toMatchObject({ seen: 3, used: 2, background: 1 });
  });

  it('take names for numbers from the classes that are asked for', async () => {
    const files = { ...(await imageFiles('images/')), ...labels('labels/') };
    expect((await openFiles(files)).classes).toEqual(['class_0', 'class_1', 'class_2']);
    const { samples } = await openFiles(files, { classes: ['x', 'y', 'z'] });
    expect(samples.map(objectsOf)[0]).toEqual(['y 1 2 30 40', 'x 8 4 16 24']);
  });
});
