import { appendFile, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDataset } from '../../../lib/data/open-dataset.ts';
import type { OpenDatasetOptions } from '../../../lib/data/open-dataset-options.ts';
import { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { type Files, imageFiles, scenes, written } from '../../support/formats.ts';
import { solid, temporaryFolder, vocObject, vocXml, writeFiles } from '../../support/voc.ts';

let cache: string;
beforeEach(async () => {
  cache = join(await temporaryFolder(), 'cache');
  vi.stubEnv('DINOV3_DET_CACHE', cache);
});
afterEach(() => vi.unstubAllEnvs());

/** Files that were written long enough ago to be told from their next state. */
async function settled(files: Files): Promise<string> {
  const folder = await temporaryFolder();
  await writeFiles(folder, files);
  await setTimeout(200);
  return folder;
}

const kept = async () =>
  (await readdir(join(cache, 'datasets')).catch(() => [])).filter((name) => !name.startsWith('.'));

/** How many images an opening has read. */
async function reads(path: string, options: OpenDatasetOptions = {}) {
  let images = 0;
  const dataset = await openDataset(path, { ...options, onProgress: () => void images++ });
  return { images, dataset };
}

describe.each(Object.keys(written))('%s', (format) => {
  it('is not read again while nothing changes, and is the same', async () => {
    const folder = await settled({ ...(await written[format]!()), 'notes.md': 'stray' });
    const first = await reads(folder);
    const second = await reads(folder);
    expect([first.images, second.images]).toEqual([3, 0]);
    expect(second.dataset).toEqual(first.dataset);
    expect(second.dataset.counts).toMatchObject({ seen: 4, ignored: 1 });
    expect(await kept()).toHaveLength(1);
  });
});

describe('a change', () => {
  const first = scenes[0]!.name;
  const changes: [string, (folder: string) => Promise<unknown>][] = [
    ['an annotation of the same size', (folder) => rewrite(join(folder, `labels/${first}.xml`), '1', '2')],
    [
      'an image',
      async (folder) => writeFile(join(folder, `images/${first}.jpg`), await solid(64, 48).jpeg().toBuffer()),
    ],
    ['a new image', async (folder) => writeFile(join(folder, 'images/new.jpg'), await solid(64, 48).jpeg().toBuffer())],
    ['a new folder', (folder) => writeFiles(folder, { 'images/more/x.txt': 'x' })],
    ['a lost image', (folder) => rm(join(folder, `images/${first}.jpg`))],
    ['another name', (folder) => rename(join(folder, `images/${first}.jpg`), join(folder, 'images/other.jpg'))],
  ];

  /** With the time that the file had: only the system's own mark of the change is left. */
  async function rewrite(path: string, from: string, to: string) {
    const { atime, mtime } = await stat(path);
    await writeFile(path, (await readFile(path, 'utf8')).replace(from, to));
    await utimes(path, atime, mtime);
  }

  it.each(changes)('of %s is seen', async (_, change) => {
    const labels = scenes.map(({ name }) => [`labels/${name}.xml`, vocXml(vocObject('dog', 1, 2, 30, 40))]);
    const folder = await settled({ ...(await imageFiles('images/')), ...Object.fromEntries(labels) });
    await reads(folder);
    expect((await reads(folder)).images).toBe(0);
    await change(folder);
    const { images, dataset } = await reads(folder);
    expect(images).toBeGreaterThan(0);
    expect(dataset).toEqual(await openDataset(folder, { cache: false }));
  });

  it('of an option opens anew', async () => {
    const folder = await settled(await written.coco!());
    await reads(folder);
    for (const options of [
      { classes: ['dog'] },
      { verifyImages: false },
      { exif: 'apply' as const },
      { maxObjects: 7 },
    ])
      expect((await reads(folder, options)).images, JSON.stringify(options)).toBe(3);
    expect((await reads(folder, { classes: ['dog'] })).images).toBe(0);
  });
});

it('a file that is younger than its time can tell is not kept', async () => {
  const folder = await settled(await written.coco!());
  await appendFile(join(folder, 'images/a.jpg'), '');
  await utimes(join(folder, 'images/a.jpg'), new Date(), new Date());
  await reads(folder);
  expect(await kept()).toEqual([]);
});

describe('the cache', () => {
  it.each<[string, (file: string) => Promise<unknown>]>([
    ['one changed byte', async (file) => flip(file, 0.5)],
    ['one changed byte at the end', async (file) => flip(file, 1)],
    ['one changed byte in its header', async (file) => flip(file, 0.01)],
    ['half of it', async (file) => writeFile(file, (await readFile(file)).subarray(0, 500))],
    ['nothing', (file) => writeFile(file, '')],
    ['something else', (file) => writeFile(file, 'x'.repeat(5000))],
  ])('with %s is made anew', async (_, damage) => {
    const folder = await settled(await written.coco!());
    const first = await reads(folder);
    const file = join(cache, 'datasets', (await kept())[0]!);
    const sound = await readFile(file);
    await damage(file);
    const { images, dataset } = await reads(folder);
    expect(images).toBe(3);
    expect(dataset).toEqual(first.dataset);
    expect((await readFile(file)).length).toBe(sound.length);
    expect((await reads(folder)).images).toBe(0);
  });

  async function flip(file: string, where: number) {
    const bytes = await readFile(file);
    const at = Math.min(bytes.length - 1, Math.floor(where * bytes.length));
    bytes[at]! ^= 1;
    await writeFile(file, bytes);
  }

  it('is not needed', async () => {
    const folder = await settled(await written.coco!());
    await reads(folder, { cache: false });
    expect(await kept()).toEqual([]);
    await writeFile(cache, 'a file where the folder should be');
    expect((await reads(folder)).images).toBe(3);
    expect((await reads(folder)).images).toBe(3);
  });

  it('keeps the parts of a data set together, and each with what it depends on', async () => {
    const part = async (name: string) => ({
      ...(await imageFiles(`${name}/`)),
      ...Object.fromEntries(
        scenes.map((scene) => [`${name}/${scene.name}.xml`, vocXml(vocObject('dog', 1, 2, 30, 40))]),
      ),
    });
    const folder = await settled({ ...(await part('train')), ...(await part('valid')) });
    const counts = async () => [
      (await reads(folder, { split: 'train' })).images,
      (await reads(folder, { split: 'valid' })).images,
    ];
    expect([await counts(), await counts()]).toEqual([
      [3, 3],
      [0, 0],
    ]);
    expect(await kept()).toHaveLength(1);
    await writeFile(join(folder, 'train/a.xml'), vocXml(vocObject('dog', 4, 5, 30, 40)));
    expect((await reads(folder, { split: 'train' })).dataset.samples[0]!.objects[0]!.box.xmin).toBe(4);
  });

  it('is that of VocDataset.open too', async () => {
    const folder = await settled({ ...(await imageFiles('')), 'a.xml': vocXml(vocObject('dog', 1, 2, 30, 40)) });
    let images = 0;
    const open = () =>
      VocDataset.open({ images: folder, annotations: folder, classes: ['dog'], onProgress: () => void images++ });
    const [first, second] = [await open(), await open()];
    expect(images).toBe(1);
    expect([...second.samples]).toEqual([...first.samples]);
    expect([second.issues, second.counts]).toEqual([first.issues, first.counts]);
  });

  it('holds a limited number of data sets, of which the oldest go first', async () => {
    const folder = await settled(await written.coco!());
    await reads(folder);
    const old = Array.from({ length: 205 }, (_, i) => join(cache, 'datasets', `old-${i}.bin`));
    for (const [i, file] of old.entries()) {
      await writeFile(file, 'x');
      await utimes(file, 1000 + i, 1000 + i);
    }
    await reads(folder, { maxObjects: 9 });
    const names = await kept();
    expect(names).toHaveLength(200);
    expect(names).toContain('old-204.bin');
    expect(names).not.toContain('old-0.bin');
    expect((await reads(folder)).images).toBe(0);
  });
});
