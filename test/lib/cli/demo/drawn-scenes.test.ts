import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sceneClasses, writeDrawnScenes } from '../../../../lib/cli/demo/drawn-scenes.ts';
import { loadDatasetConfig } from '../../../../lib/data/dataset-config.ts';
import { VocDataset } from '../../../../lib/data/voc-dataset.ts';
import { decodeImage } from '../../../../lib/images/image.ts';
import { temporaryFolder } from '../../../support/voc.ts';

const counts = { train: 30, valid: 4, test: 6 };

/** Every file below a folder, by path. */
async function contents(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = files.sort().map(async (path): Promise<[string, string]> => {
    return [path.slice(folder.length), (await readFile(path)).toString('latin1').replaceAll(folder, '')];
  });
  return new Map(await Promise.all(pairs));
}

async function openSplits(seed: number) {
  const folder = await temporaryFolder();
  const config = await loadDatasetConfig(await writeDrawnScenes(folder, { ...counts, seed }));
  const open = (source: NonNullable<typeof config.test>) => VocDataset.open({ ...source, classes: config.classes });
  return { folder, config, splits: [await open(config.train), await open(config.valid), await open(config.test!)] };
}

describe('writeDrawnScenes', () => {
  it('writes a data set that opens without an issue, in three splits that share no image', async () => {
    const { config, splits } = await openSplits(1);
    expect(config.classes).toEqual(sceneClasses);
    expect(splits.map(({ length }) => length)).toEqual([30, 4, 6]);
    expect(splits.flatMap(({ issues }) => issues)).toEqual([]);
    const ids = splits.flatMap(({ samples }) => samples.map(({ id }) => id));
    expect(new Set(ids).size).toBe(40);
  });

  it('has one to four objects in an image, of every class and of several sizes, some of them hard', async () => {
    const { folder, splits } = await openSplits(1);
    const samples = splits.flatMap((split) => split.samples);
    const numbers = new Set(samples.map(({ objects }) => objects.length));
    expect([...numbers].sort()).toEqual([1, 2, 3, 4]);
    const objects = samples.flatMap((sample) => sample.objects);
    expect(new Set(objects.map(({ label }) => label))).toEqual(new Set(sceneClasses));
    expect(objects.some(({ difficult }) => difficult)).toBe(true);
    const heights = objects.map(({ box }) => box.ymax - box.ymin);
    expect(Math.max(...heights) / Math.min(...heights)).toBeGreaterThan(3);
    const xml = [...(await contents(join(folder, 'Annotations'))).values()].join('');
    expect(xml).toContain('<truncated>1</truncated>');
    expect(xml).toMatch(/<xmin>\d+<\/xmin>/);
    expect(xml).not.toMatch(/<[xy]m(in|ax)>(0|\d+\.\d+)</); // VOC counts whole pixels from 1
  });

  it('draws an object where its annotation says', async () => {
    const { splits } = await openSplits(2);
    const samples = splits[0]!.samples.filter(({ objects }) => objects.length === 1);
    expect(samples.length).toBeGreaterThan(2);
    for (const { imagePath, objects } of samples) {
      const { data, width } = await decodeImage(imagePath);
      const { xmin, ymin, xmax, ymax } = objects[0]!.box;
      const at = (x: number, y: number) => [0, 1, 2].map((c) => data[3 * (Math.floor(y) * width + Math.floor(x)) + c]!);
      const saturation = ([r, g, b]: number[]) => Math.max(r!, g!, b!) - Math.min(r!, g!, b!);
      // Shapes are filled around their centre, and more colourful than any background.
      const centre = saturation(at((xmin + xmax) / 2, (ymin + ymax) / 2 + 1));
      const outside = saturation(at(xmin > 20 ? xmin - 12 : xmax + 12, (ymin + ymax) / 2));
      expect(centre, imagePath).toBeGreaterThan(outside);
    }
  });

  it('is the same for a seed, and another for another seed', async () => {
    const [first, again, other] = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()];
    const few = { train: 2, valid: 1, test: 1 };
    await writeDrawnScenes(first, { ...few, seed: 7 });
    await writeDrawnScenes(again, { ...few, seed: 7 });
    await writeDrawnScenes(other, { ...few, seed: 8 });
    const drawn = await contents(first);
    expect(drawn.size).toBe(4 + 4 + 3 + 1);
    expect(await contents(again)).toEqual(drawn);
    expect((await contents(other)).get('/JPEGImages/000001.jpg')).not.toBe(drawn.get('/JPEGImages/000001.jpg'));
  });

  it('draws any size', async () => {
    const folder = await temporaryFolder();
    await writeDrawnScenes(folder, { train: 1, valid: 0, test: 0, width: 96, height: 64 });
    expect(await decodeImage(join(folder, 'JPEGImages', '000001.jpg'))).toMatchObject({ width: 96, height: 64 });
    expect(await readFile(join(folder, 'ImageSets', 'Main', 'val.txt'), 'utf8')).toBe('');
  });
});
