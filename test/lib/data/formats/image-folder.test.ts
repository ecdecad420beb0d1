import { expect, it } from 'vitest';
import { imageFiles, imageFolderOf, scenes } from '../../../support/formats.ts';
import { brief, objectsOf, openFiles } from '../../../support/open-files.ts';

const images = await imageFiles('');
const lines = (...rows: unknown[]) =>
  rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\r\n');
const rows = scenes.map(imageFolderOf);

const openRows = async (...list: unknown[]) => await openFiles({ ...images, 'metadata.jsonl': lines(...list) });

it('takes numbers for categories, whose names the card of the data set has', async () => {
  const numbered = { file_name: 'a.jpg', objects: { bbox: [[1, 2, 29, 38]], category: [1] } };
  const card =
    "---\ndataset_info:\n  features:\n  - name: category\n    dtype:\n      class_label:\n        names:\n          '0': cat\n          '1': \"big dog\"\n---\n# Pets\n";
  const { classes, samples } = await openFiles({ ...images, 'metadata.jsonl': lines(numbered), 'README.md': card });
  expect(classes).toEqual(['cat', 'big dog']);
  expect(objectsOf(samples[0]!)).toEqual(['big dog 1 2 30 40']);
  expect((await openRows(numbered)).classes).toEqual(['class_1']);
});

it('takes objects one by one, and lists beside the file name', async () => {
  const { samples, issues } = await openRows(
    { file_name: './a.jpg', objects: [{ bbox: [1, 2, 29, 38], label: 'dog' }] },
    { file_name: 'b.jpg', bbox: [[8, 4, 8, 20]], labels: ['cat'], width: 64, height: 48 },
  );
  expect(issues).toEqual([]);
  expect(samples.map(objectsOf)).toEqual([['dog 1 2 30 40'], ['cat 8 4 16 24']]);
});

it('has parts by the folders of the files', async () => {
  const files = { ...(await imageFiles('train/')), ...(await imageFiles('validation/')) };
  const text = lines(...rows);
  const opened = await openFiles(
    { ...files, 'train/metadata.jsonl': text, 'validation/metadata.jsonl': text },
    { split: 'valid' },
  );
  expect(opened.samples.map(({ id }) => id)).toEqual(['a', 'b', 'my photo 1'].map((name) => `validation/${name}`));
});

it('counts lines that cannot be used', async () => {
  const { issues, counts } = await openRows(
    rows[0],
    '{"file_name": ',
    rows[0],
    { file_name: 'c.jpg' },
    {
      file_name: 'b.jpg',
      objects: { bbox: [[1, 2, 3]], categories: [null] },
    },
  );
  expect(brief(issues)).toEqual([
    ['metadata.jsonl', 'annotation-invalid', 'skipped'],
    ['metadata.jsonl', 'duplicate-file', 'skipped'],
    ['metadata.jsonl', 'image-missing', 'skipped'],
    ['metadata.jsonl[0]', 'annotation-invalid', 'skipped'],
    ['b.jpg', 'objects-unreadable', 'skipped'],
  ]);
  expect(issues[0]!.message).toContain('line 2');
  expect(counts).toMatchObject({ used: 1, skipped: 4, ignored: 1 });
});
