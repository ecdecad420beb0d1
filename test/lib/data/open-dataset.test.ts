import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../lib/data/open-dataset.ts';
import type { OpenDatasetOptions } from '../../../lib/data/open-dataset-options.ts';
import type { Sample } from '../../../lib/data/sample.ts';
import { classes, type Files, imageFiles, scenes, written } from '../../support/formats.ts';
import { expectError, temporaryFolder, vocObject, vocXml, writeFiles } from '../../support/voc.ts';

async function folderOf(files: Files): Promise<string> {
  const folder = await temporaryFolder();
  await writeFiles(folder, files);
  return folder;
}

const open = async (files: Files, options: OpenDatasetOptions = {}, path = '') =>
  await openDataset(join(await folderOf(files), path), options);

/** Of names, sizes and objects; box sides to a thousandth of a pixel. */
function hashOf(samples: readonly Sample[]): string {
  const lines = samples.map(({ imagePath, width, height, objects }) => {
    const boxes = objects.map(({ label, box }) =>
      [label, ...Object.values(box).map((side) => side.toFixed(3))].join(' '),
    );
    return [imagePath.replace(/^.*[/\\]/, ''), width, height, ...boxes.sort()].join('|');
  });
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

describe('every format', () => {
  const expected = scenes.map(({ name, objects }) => ({ name, objects }));

  it.each(Object.keys(written))('%s: has the same samples, and accounts for every file', async (format) => {
    const dataset = await open(await written[format]!());
    expect(dataset.issues).toEqual([]);
    expect([...dataset.classes].sort()).toEqual([...classes].sort());
    expect(dataset.counts).toEqual({ seen: 3, used: 2, background: 1, skipped: 0, ignored: 0, ignoredBecause: {} });
    const found = dataset.samples.map(({ imagePath, objects }) => ({
      name: imagePath.replace(/^.*[/\\]|\.jpg$/g, ''),
      objects: objects.map(({ label, box }) => ({
        label,
        box: Object.values(box).map((side) => Math.round(side * 1e6) / 1e6),
      })),
    }));
    expect(found.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(expected);
  });

  it('has one hash of samples', async () => {
    const hashes = new Set<string>();
    for (const make of Object.values(written)) hashes.add(hashOf((await open(await make())).samples));
    expect(hashes.size).toBe(1);
  });

  it.each([
    ['coco', 'annotations/instances.json', 'COCO JSON (annotations/instances.json)'],
    ['yolo', 'data.yaml', 'YOLO (data.yaml)'],
    ['cvat', 'annotations.xml', 'CVAT XML 1.1 for images (annotations.xml)'],
    ['label-studio', 'project-1.json', 'Label Studio JSON (project-1.json)'],
    ['imagefolder', 'train/metadata.jsonl', 'ImageFolder with metadata.jsonl (metadata.jsonl)'],
  ])('%s: takes the file itself, and says what it is', async (format, file, source) => {
    const dataset = await open(await written[format]!(), {}, file);
    expect(dataset.length).toBe(3);
    expect(dataset.source).toBe(source);
  });

  it.each(Object.keys(written))('%s: takes the classes that are asked for', async (format) => {
    const { classes: names, samples, issues } = await open(await written[format]!(), { classes: ['dog'] });
    expect(names).toEqual(['dog']);
    expect(samples.flatMap(({ objects }) => objects).map(({ label, labelIndex }) => [label, labelIndex])).toEqual(
      Array(3).fill(['dog', 1]),
    );
    expect(issues.map(({ kind, action }) => [kind, action])).toEqual(Array(2).fill(['unknown-class', 'skipped']));
  });
});

describe('detection', () => {
  it('names both of two formats, and takes the one that is asked for', async () => {
    const files = { ...(await written.coco!()), ...(await written.yolo!()) };
    await expectError(
      open(files),
      'CONFIG_INVALID',
      'COCO JSON (annotations/instances.json)',
      'YOLO (data.yaml)',
      'format',
    );
    expect((await open(files, { format: 'coco', images: undefined })).source).toContain('COCO');
  });

  it.each<[string, Files, string]>([
    ['TFRecord', { 'train.tfrecord': 'x', 'a.tfrecord-00000-of-00002': 'x' }, 'COCO JSON or Pascal VOC'],
    ['Parquet', { 'data/train-00000-of-00001.parquet': 'PAR1' }, 'metadata.jsonl'],
    ['panoptic COCO', { 'panoptic_val.json': '{"annotations":[{"segments_info":[]}]}' }, 'instances_*.json'],
    [
      'COCO captions',
      { 'captions_val.json': '{"images":[{"file_name":"a.jpg"}],"annotations":[{"caption":"x"}]}' },
      'instances',
    ],
    ['COCO results', { 'r.json': '[{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"score":0.5}]' }, 'ground truth'],
    ['CVAT XML for video', { 'a.xml': '<annotations><track id="0"/></annotations>' }, 'CVAT for images 1.1'],
    ['VIA JSON', { 'via.json': '{"_via_img_metadata":{}}' }, 'COCO JSON'],
  ])('names %s, which is not read', async (name, files, remedy) => {
    await expectError(open(files), 'DATASET_NOT_FOUND', name, 'which is not read', remedy);
  });

  it('says what is there instead of a data set', async () => {
    await expectError(open(await imageFiles('')), 'DATASET_NOT_FOUND', 'which has 3 images and 0 other files');
    await expectError(
      open({ 'a.json': '{"x": 1}' }, {}, 'a.json'),
      'DATASET_NOT_FOUND',
      'It begins with "{\\"x\\": 1}"',
    );
    await expectError(open({ 'a.json': '' }, {}, 'a.json'), 'DATASET_NOT_FOUND', 'It is empty');
    await expectError(openDataset('/no/such/place'), 'DATASET_NOT_FOUND', 'There is no data set "/no/such/place"');
    await expect(openDataset('x', { splt: 'train' } as never)).rejects.toThrow('Unknown key "splt"');
    await expect(openDataset('x', { exif: 'maybe' as never })).rejects.toThrow(RangeError);
  });
});

describe('parts', () => {
  const partsOf = async (prefix: (part: string) => string) => {
    const files: Files = {};
    for (const part of ['train', 'valid', 'test']) {
      const list = scenes.map((scene) => ({ ...scene, name: `${part}-${scene.name}` }));
      Object.assign(files, await imageFiles(`${prefix(part)}images/`, list));
      for (const { name } of list) files[`${prefix(part)}labels/${name}.xml`] = vocXml(vocObject('dog', 1, 2, 30, 40));
    }
    return files;
  };

  it('are told by the names of folders', async () => {
    const folder = await folderOf(await partsOf((part) => `${part}/`));
    for (const split of ['train', 'valid', 'test'] as const) {
      const { samples } = await openDataset(folder, { split });
      expect(samples.map(({ id }) => id)).toEqual(['a', 'b', 'my photo 1'].map((name) => `${split}/${split}-${name}`));
    }
    expect((await openDataset(folder)).length).toBe(9);
  });

  it('that are not there are named', async () => {
    const files = await partsOf((part) => `${part}/`);
    const folder = await folderOf(
      Object.fromEntries(Object.entries(files).filter(([name]) => !name.startsWith('valid'))),
    );
    await expectError(openDataset(folder, { split: 'valid' }), 'DATASET_NOT_FOUND', 'no part valid', 'train and test');
    await expectError(open(await written.coco!(), { split: 'train' }), 'DATASET_NOT_FOUND', '--split 0.8/0.1/0.1');
  });
});
