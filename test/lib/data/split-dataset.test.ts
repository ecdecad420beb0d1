import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Dataset, type SampleInput } from '../../../lib/data/dataset.ts';
import { splitDataset } from '../../../lib/data/split-dataset.ts';
import { splitByLists, writeSplitLists } from '../../../lib/data/split-lists.ts';
import { expectError, temporaryFolder, writeFiles } from '../../support/voc.ts';

const box = { xmin: 1, ymin: 2, xmax: 30, ymax: 40 };
const of = (label: string) => ({ label, box });

/** Images whose files hold these texts, each with objects. Nothing decodes them here. */
async function dataset(images: { content: string; labels: string[] }[], classes = ['dog', 'owl']) {
  const folder = await temporaryFolder();
  await writeFiles(folder, Object.fromEntries(images.map(({ content }, i) => [`${i}.jpg`, content])));
  const samples = images.map(({ labels }, i): SampleInput => {
    return { id: `${i}`, imagePath: join(folder, `${i}.jpg`), width: 64, height: 48, objects: labels.map(of) };
  });
  return await Dataset.from(samples, { classes });
}

const many = (count: number, labels = ['dog'], from = 0) =>
  Array.from({ length: count }, (_, i) => ({ content: `image ${from + i}`, labels }));
const ids = ({ samples }: Dataset) => samples.map(({ id }) => id);

describe('splitDataset', () => {
  it('divides by fractions, every image once', async () => {
    const whole = await dataset(many(400));
    const { train, valid, test } = await splitDataset(whole, [0.8, 0.1, 0.1]);
    expect([...ids(train), ...ids(valid), ...ids(test!)].sort()).toEqual(ids(whole).sort());
    for (const part of [valid, test!]) {
      expect(part.length).toBeGreaterThan(20); // four standard deviations below 40
      expect(part.length).toBeLessThan(64);
    }
    expect(await splitDataset(whole, [0.5, 0.5])).not.toHaveProperty('test');
  });

  it('keeps copies together', async () => {
    const whole = await dataset([...many(100), ...many(100), ...many(100)]);
    const { train, valid } = await splitDataset(whole, [0.5, 0.5]);
    const contents = (part: Dataset) => new Set(ids(part).map((id) => Number(id) % 100));
    expect([...contents(train)].filter((content) => contents(valid).has(content))).toEqual([]);
    expect(train.length % 3).toBe(0);
  });

  it('moves nothing when images are added, and all with another seed', async () => {
    const few = await splitDataset(await dataset(many(200)), [0.8, 0.2]);
    const more = await splitDataset(await dataset(many(300)), [0.8, 0.2]);
    expect(ids(more.valid).filter((id) => Number(id) < 200)).toEqual(ids(few.valid));
    const other = await splitDataset(await dataset(many(200)), [0.8, 0.2], { seed: 1 });
    expect(ids(other.valid)).not.toEqual(ids(few.valid));
  });

  it('deals out rare classes in proportion', async () => {
    for (const seed of [0, 1, 2, 3]) {
      const whole = await dataset([...many(300), ...many(10, ['owl'], 300), ...many(2, [], 310)]);
      const { train, valid, test } = await splitDataset(whole, [0.8, 0.1, 0.1], { seed });
      const owls = (part: Dataset) => part.samples.filter(({ objects }) => objects[0]?.label === 'owl').length;
      expect([train, valid, test!].map(owls)).toEqual([8, 1, 1]);
    }
  });

  it.each([[[0.8, 0.1]], [[1, 0]], [[1]], [[0.5, 0.5, 0.5]], [['a', 'b']], ['0.8']])(
    'refuses %j',
    async (fractions) => {
      await expect(splitDataset(await dataset(many(4)), fractions as number[])).rejects.toThrow(/fractions/);
    },
  );

  it('refuses a part without an image, and names an image that is gone', async () => {
    await expectError(
      splitDataset(await dataset(many(1)), [0.5, 0.5]),
      'DATASET_EMPTY',
      'would have no image: there are 1',
    );
    const whole = await dataset(many(3));
    await rm(whole.samples[1]!.imagePath);
    await expectError(splitDataset(whole, [0.5, 0.5]), 'IMAGE_UNREADABLE', '1.jpg');
  });
});

describe('lists', () => {
  it('give the same parts again', async () => {
    const whole = await dataset(many(60));
    const parts = await splitDataset(whole, [0.6, 0.2, 0.2]);
    const folder = join(await temporaryFolder(), 'split');
    await writeSplitLists(folder, parts);
    expect(await readFile(join(folder, 'valid.txt'), 'utf8')).toBe(
      ids(parts.valid)
        .map((id) => `${id}\n`)
        .join(''),
    );
    const again = await splitByLists(whole, folder);
    expect([again.train, again.valid, again.test!].map(ids)).toEqual([parts.train, parts.valid, parts.test!].map(ids));
  });

  it('name what is not in the data set', async () => {
    const whole = await dataset(many(4));
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'train.txt': '0\r\n1\n17\n', 'valid.txt': '2\n' });
    const { train } = await splitByLists(whole, folder);
    expect(train.issues.map(({ kind, message }) => [kind, message])).toEqual([
      ['image-missing', 'the image "17" is not in the data set'],
    ]);
    await writeFiles(folder, { 'valid.txt': '99\n' });
    await expectError(splitByLists(whole, folder), 'DATASET_EMPTY', 'valid.txt');
    await expectError(splitByLists(whole, await temporaryFolder()), 'DATASET_NOT_FOUND', 'train.txt');
  });
});
