import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { random } from '../../../lib/base/random.ts';
import type { Box } from '../../../lib/boxes/box.ts';
import { Dataset } from '../../../lib/data/dataset.ts';
import { openDataset } from '../../../lib/data/open-dataset.ts';
import { uprightBox, writeDataset, writeParts, writerNames } from '../../../lib/data/write-dataset.ts';
import { decodeImage } from '../../../lib/images/image.ts';
import { openFiles } from '../../support/open-files.ts';
import { expectError, solid, temporaryFolder, vocObject, vocXml, writeFiles } from '../../support/voc.ts';

const classes = ['dog', 'big & <old> "猫"', 'owl'];
const [WIDTH, HEIGHT] = [123, 77];

/** Images of odd sizes with objects anywhere, some of them none. */
async function randomDataset(seed: number): Promise<Dataset> {
  const folder = await temporaryFolder();
  const image = await solid(WIDTH, HEIGHT).jpeg().toBuffer();
  const names = ['a.jpg', 'x/a.jpg', 'my photo #1 100%.jpeg', 'bild-ä.jpg', 'e.jpg'];
  await writeFiles(folder, Object.fromEntries(names.map((name) => [name, image])));
  const samples = names.map((name, i) => {
    const draw = (j: number, k: number) => random(seed, i, j, k);
    const objects = Array.from({ length: Math.floor(5 * draw(99, 0)) }, (_, j) => {
      const [xmin, ymin] = [draw(j, 1) * (WIDTH - 2), draw(j, 2) * (HEIGHT - 2)];
      const [xmax, ymax] = [xmin + 1 + draw(j, 3) * (WIDTH - xmin - 1), ymin + 1 + draw(j, 4) * (HEIGHT - ymin - 1)];
      return { label: classes[Math.floor(3 * draw(j, 5))]!, box: { xmin, ymin, xmax, ymax } };
    });
    return { id: name, imagePath: join(folder, name), objects };
  });
  samples[0]!.objects.push({ label: 'dog', box: { xmin: 0, ymin: 0, xmax: WIDTH, ymax: HEIGHT } });
  return await Dataset.from(samples, { classes });
}

const flat = ({ samples }: Dataset) =>
  samples
    .map(({ objects }) => objects.map(({ label, box }) => ({ label, sides: Object.values(box) as number[] })))
    .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));

describe.each(writerNames.map((format) => [format]))('%s', (format) => {
  it('gives the same boxes when it is read again', async () => {
    for (const seed of [1, 2, 3]) {
      const dataset = await randomDataset(seed);
      const folder = join(await temporaryFolder(), 'out');
      await writeDataset(folder, { all: dataset }, { format });
      const again = await openDataset(folder, { classes });
      expect(again.issues).toEqual([]);
      expect(again.counts).toMatchObject({ seen: 5, skipped: 0, ignored: 0 });
      const [before, after] = [flat(dataset), flat(again)];
      expect(after.map((objects) => objects.map(({ label }) => label))).toEqual(
        before.map((objects) => objects.map(({ label }) => label)),
      );
      const differences = before.flatMap((objects, i) =>
        objects.flatMap(({ sides }, j) => sides.map((side, k) => Math.abs(side - after[i]![j]!.sides[k]!))),
      );
      expect(Math.max(...differences)).toBeLessThan(format === 'yolo' ? 1e-6 * WIDTH : 1e-3);
    }
  });

  it('keeps the parts', async () => {
    const [train, valid] = [await randomDataset(4), await randomDataset(5)];
    const folder = await temporaryFolder();
    await writeDataset(folder, { train, valid }, { format });
    for (const [split, dataset] of [
      ['train', train],
      ['valid', valid],
    ] as const) {
      const again = await openDataset(folder, { split, classes });
      expect(again.length).toBe(5);
      expect(flat(again).map((objects) => objects.length)).toEqual(flat(dataset).map((objects) => objects.length));
    }
  });

  it('writes nothing into a folder that holds something', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'mine.txt': 'x' });
    await expectError(
      writeDataset(folder, { all: await randomDataset(6) }, { format }),
      'OUTPUT_NOT_WRITABLE',
      'is not empty',
    );
  });
});

it('has scores where the format has them', async () => {
  const [sample] = (await randomDataset(7)).samples;
  const objects = sample!.objects.map((object) => ({ ...object, score: 0.875 }));
  const images = [{ ...sample!, fileName: 'a.jpg', objects }];
  const textOf = async (format: string, file: string) => {
    const folder = join(await temporaryFolder(), 'out');
    await writeParts(folder, [{ name: 'all', images }], classes, { format });
    return await readFile(join(folder, file), 'utf8');
  };
  expect(JSON.parse(await textOf('coco', 'annotations/instances.json')).annotations[0].score).toBe(0.875);
  expect(JSON.parse(await textOf('labelme', 'a.json')).shapes[0].score).toBe(0.875);
  expect(JSON.parse(await textOf('label-studio', 'tasks.json'))[0].predictions[0].result[0].score).toBe(0.875);
  expect(await textOf('yolo', 'labels/all/a.txt')).toMatch(
    /^\d( 0\.\d+){4} 0\.875000\n|^\d( [01]\.\d+){4} 0\.875000\n/,
  );
});

describe('uprightBox', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('turns as EXIF orientation %d does', async (orientation) => {
    const box: Box = { xmin: 8, ymin: 16, xmax: 24, ymax: 40 };
    const red = { create: { width: 16, height: 24, channels: 3 as const, background: 'red' } };
    const stored = await solid(64, 48, { r: 0, g: 0, b: 0 })
      .composite([{ input: red, left: 8, top: 16 }])
      .png()
      .toBuffer();
    const bytes = await sharp(stored).withMetadata({ orientation }).png().toBuffer();
    const { data, width, height } = await decodeImage(bytes, { autoOrient: true });
    const bounds = { xmin: width, ymin: height, xmax: 0, ymax: 0 };
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (data[3 * (y * width + x)]! < 128) continue;
        bounds.xmin = Math.min(bounds.xmin, x);
        bounds.ymin = Math.min(bounds.ymin, y);
        bounds.xmax = Math.max(bounds.xmax, x + 1);
        bounds.ymax = Math.max(bounds.ymax, y + 1);
      }
    }
    expect(uprightBox(box, { width: 64, height: 48 }, orientation)).toEqual(bounds);
  });

  it('is what a stored sample is written with', async () => {
    const turned = await solid(48, 64).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const size = '<size><width>48</width><height>64</height></size>';
    const dataset = await openFiles({ 'a.jpg': turned, 'a.xml': vocXml(vocObject('dog', 4, 10, 20, 30), size) });
    expect(dataset.samples[0]).toMatchObject({ stored: true });
    const folder = join(await temporaryFolder(), 'out');
    await writeDataset(folder, { all: dataset }, { format: 'yolo' });
    const [sample] = (await openDataset(folder)).samples;
    expect(sample).toMatchObject({ width: 64, height: 48 });
    for (const [side, value] of Object.entries({ xmin: 34, ymin: 4, xmax: 54, ymax: 20 }))
      expect(sample!.objects[0]!.box[side as 'xmin']).toBeCloseTo(value, 6);
  });
});
