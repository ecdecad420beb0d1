import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../lib/data/open-dataset.ts';
import type { OpenedDataset } from '../../lib/data/open-dataset-options.ts';
import { writerNames } from '../../lib/data/write-dataset.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { cli } from '../support/cli.ts';
import { classes, scenes, written } from '../support/formats.ts';
import { expectError, solid, vocObject, vocXml, writeFiles } from '../support/voc.ts';

let folder: string;
let checkpoint: string;
const data = (format: string) => join(folder, format);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  for (const format of ['voc', 'yolo']) await writeFiles(data(format), await written[format]!());
  checkpoint = join(folder, 'checkpoint');
  const model = { classes, backbone: 'convnext_test', imageSize: { width: 64, height: 64 }, seed: 1 } as const;
  await using detector = await Detector.create(model);
  await detector.save(checkpoint);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Names of images without numbers that stand for a second one of the name, and objects, in one order. */
function contentOf({ samples }: OpenedDataset) {
  return samples
    .map(({ imagePath, width, height, objects }) => ({
      ...{ name: imagePath.replace(/^.*[/\\]/, ''), width, height },
      objects: objects.map(({ label, box }) => ({ label, sides: Object.values(box) as number[] })),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

describe('convert', () => {
  it.each(writerNames)('writes %s, which reads as what was given', async (format) => {
    const out = join(folder, `converted-${format}`);
    const { code, error, out: text } = await cli(['convert', '--data', data('voc'), '--to', format, '--out', out]);
    expect(code, error).toBe(0);
    expect(text).toContain(`Wrote 3 images in the format ${format}`);
    expect(error).toContain('Pascal VOC XML');
    expect(error).toContain('3 files seen: 2 images used, 1 without objects, 0 skipped, 0 ignored');
    const [before, after] = [await openDataset(data('voc')), await openDataset(out, { classes: [...classes].sort() })];
    expect(after.counts).toMatchObject({ seen: 3, used: 2, background: 1 });
    const [given, found] = [contentOf(before), contentOf(after)];
    expect(found.map(({ objects }) => objects.map(({ label }) => label))).toEqual(
      given.map(({ objects }) => objects.map(({ label }) => label)),
    );
    for (const [i, { objects, width }] of given.entries())
      for (const [j, { sides }] of objects.entries())
        for (const [k, side] of sides.entries())
          expect(Math.abs(side - found[i]!.objects[j]!.sides[k]!)).toBeLessThan(
            format === 'yolo' ? 1e-6 * width : 1e-3,
          );
  });

  it.each([
    [['--data', 'nowhere', '--to', 'coco', '--out', 'x'], 'There is no data set "nowhere"'],
    [['--to', 'coco', '--out', 'x'], 'Give the data set with --data PATH'],
    [['--data', 'voc', '--to', 'tfrecord', '--out', 'x'], 'Allowed choices are voc, coco, yolo, labelme, label-studio'],
    [['--data', 'voc', '--to', 'coco'], "required option '--out <dir>'"],
    [['--data', 'voc', '--to', 'coco', '--out', 'yolo'], 'is not empty. Name a new or empty folder'],
  ])('%j says what is wrong', async (args, message) => {
    const placed = args.map((arg) => (arg === 'voc' || arg === 'yolo' ? data(arg) : arg));
    const { code, error } = await cli(['convert', ...placed]);
    expect(code).not.toBe(0);
    expect(error).toContain(message);
  });
});

describe('detect --save', () => {
  const threshold = ['--threshold', '0', '--max-detections', '3'];

  it.each(writerNames)('writes detections as labels in %s, for the same images', async (format) => {
    const out = join(folder, `detected-${format}`);
    const images = join(data('voc'), 'images');
    const args = ['detect', '--checkpoint', checkpoint, '--save', format, '--out-dir', out, ...threshold, images];
    const { code, error } = await cli(args);
    expect(code, error).toBe(0);
    const found = JSON.parse(await readFile(join(out, 'detections.json'), 'utf8')) as {
      file: string;
      detections: { label: string; box: Record<string, number> }[];
    }[];
    if (format === 'label-studio') {
      // Predictions are to be corrected there first.
      await expectError(openDataset(join(out, 'labels'), { classes }), 'DATASET_EMPTY', 'nobody has labelled it');
      return;
    }
    const labels = await openDataset(join(out, 'labels'), { classes });
    expect(labels.length + labels.counts.skipped).toBe(scenes.length);
    for (const { name, objects } of contentOf(labels)) {
      const { detections } = found.find(({ file }) => file.endsWith(name))!;
      expect(objects.length).toBeLessThanOrEqual(detections.length);
      for (const { label, sides } of objects) {
        const alike = detections.some(
          (each) =>
            each.label === label && Object.values(each.box).every((side, k) => Math.abs(side - sides[k]!) < 1e-3),
        );
        expect(alike, `${name} ${label} ${sides}`).toBe(true);
      }
    }
    const again = await cli(args);
    expect(again.code).not.toBe(0);
    expect(again.error).toMatch(/--save: .*labels/);
  });

  it('cuts objects out as images in a folder for each class', async () => {
    const out = join(folder, 'crops');
    const image = join(data('voc'), 'images', 'a.jpg');
    const { code, error } = await cli([
      ...['detect', '--checkpoint', checkpoint, '--save', 'crops', '--out-dir', out, ...threshold, image],
    ]);
    expect(code, error).toBe(0);
    for (const name of await readdir(join(out, 'labels'))) {
      expect(classes).toContain(name);
      expect((await readdir(join(out, 'labels', name))).every((file) => /^a(-\d+)?\.png$/.test(file))).toBe(true);
    }
  });
});

it('detect says where the model cannot give as many detections as are asked for', async () => {
  const limits = ['--threshold', '1', '--max-detections', '100000', '--out-dir', join(folder, 'cut')];
  const { code, error } = await cli([
    'detect',
    '--checkpoint',
    checkpoint,
    ...limits,
    join(data('voc'), 'images', 'a.jpg'),
  ]);
  expect(code, error).toBe(0);
  expect(error).toContain('Warning: maxDetections (--max-detections) is 100000, but an image has at most 1200');
});

describe('--data', () => {
  it('is taken by the commands that look at data', async () => {
    const analyzed = await cli(['analyze', '--data', data('yolo')]);
    expect(analyzed.code, analyzed.error).toBe(0);
    expect(analyzed.error).toContain('YOLO (data.yaml)');
    const evaluated = await cli(['evaluate', '--checkpoint', checkpoint, '--data', data('voc')]);
    expect(evaluated.code, evaluated.error).toBe(0);
    expect(evaluated.error).toContain('Pascal VOC XML');
    const missing = await cli(['evaluate', '--checkpoint', checkpoint, '--data', data('yolo')]);
    expect(missing.code).not.toBe(0);
    expect(missing.error).toContain('YOLO (data.yaml) has no such part, which has train');
  });

  it('without validation data asks for a split, which is kept as lists', async () => {
    const small = ['--backbone', 'convnext_test', '--imgsz', '64', '64', '--epochs', '1', '--batch', '2'];
    const train = (...args: string[]) => cli(['train', '--data', join(folder, 'many'), ...small, ...args]);
    // Six images, of each a copy.
    for (let i = 0; i < 12; i++) {
      const image = await solid(64, 48, { r: 40 * (i % 6), g: 90, b: 30 })
        .png()
        .toBuffer();
      await writeFiles(join(folder, 'many'), {
        [`${i}.png`]: image,
        [`${i}.xml`]: vocXml(vocObject('dog', 4, 4, 40, 40)),
      });
    }
    const asked = await train('--out-dir', join(folder, 'run-0'));
    expect(asked.code).not.toBe(0);
    expect(asked.error).toContain('Divide it with --split 0.8/0.1/0.1');

    // Copies stay on one side.
    const divided = await train('--out-dir', join(folder, 'run-1'), '--split', '0.5/0.5', '--split-seed', '3');
    expect(divided.code, divided.error).toBe(0);
    const list = async (name: string) =>
      (await readFile(join(folder, 'run-1', 'split', `${name}.txt`), 'utf8')).trim().split('\n').map(Number);
    const contents = async (name: string) => new Set((await list(name)).map((id) => id % 6));
    const [trained, valid] = [await contents('train'), await contents('valid')];
    expect([...trained].filter((each) => valid.has(each))).toEqual([]);
    expect((await list('train')).length + (await list('valid')).length).toBe(12);

    const again = await train('--out-dir', join(folder, 'run-2'), '--split', join(folder, 'run-1', 'split'));
    expect(again.code, again.error).toBe(0);
    const listed = ['evaluate', '--checkpoint', join(folder, 'run-1', 'best'), '--data', join(folder, 'many')];
    const evaluated = await cli([...listed, '--split-from', join(folder, 'run-1', 'split'), '--no-cache']);
    expect(evaluated.code, evaluated.error).toBe(0);
  });
});
