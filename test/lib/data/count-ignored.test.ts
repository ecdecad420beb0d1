import { describe, expect, it } from 'vitest';
import { random } from '../../../lib/base/random.ts';
import { type Files, written } from '../../support/formats.ts';
import { openFiles } from '../../support/open-files.ts';
import { solid } from '../../support/voc.ts';

const image = await solid(64, 48, { r: 9, g: 8, b: 7 }).png().toBuffer();

/** Files that no data set needs, and what is said of them. */
const strays: [path: string, content: string | Uint8Array, reason: string][] = [
  ['notes.md', 'x', 'other file (.md)'],
  ['Makefile', 'x', 'other file (no extension)'],
  ['photo.heic', 'x', 'image that is no JPEG, PNG or WebP (.heic)'],
  ['old.bmp', 'BM', 'image that is no JPEG, PNG or WebP (.bmp)'],
  ['sub/deep/list.csv', 'x', 'other file (.csv)'],
  ['sub/model.pt', 'x', 'other file (.pt)'],
];

/** Where the images of a format are: strays there, and beside them. */
const folders: Record<string, string> = {
  ...{ voc: 'images/', coco: 'images/', yolo: 'images/train/', labelme: '', cvat: 'images/' },
  ...{ 'label-studio': 'images/', imagefolder: 'train/' },
};

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0);

describe.each(Object.keys(written))('%s', (format) => {
  it.each([1, 2, 3])('accounts for every stray file, each with its reason (%d)', async (seed) => {
    const extra: Files = {};
    const expected: Record<string, number> = {};
    for (const [i, [path, content, reason]] of strays.entries()) {
      if (random(seed, 0, i, 40) < 0.4) continue;
      extra[random(seed, 0, i, 41) < 0.5 ? path : folders[format] + path] = content;
      expected[reason] = (expected[reason] ?? 0) + 1;
    }
    const { counts } = await openFiles({ ...(await written[format]!()), ...extra });
    expect(counts.ignoredBecause).toEqual(expected);
    expect(counts).toMatchObject({ used: 2, background: 1, skipped: 0, ignored: sum(expected) });
    expect(counts.seen).toBe(counts.used + counts.background + counts.skipped + counts.ignored);
  });

  it('accounts for an image that nobody has annotated', async () => {
    const { counts } = await openFiles({ ...(await written[format]!()), [`${folders[format]}more/new.png`]: image });
    const { used, background, skipped, ignored } = counts;
    expect([counts.seen, used + background + skipped + ignored]).toEqual([4, 4]);
    // Without a text file it is background (YOLO), without an XML file it is lost (VOC), without an entry it is ignored.
    expect([background, skipped, ignored]).toEqual({ yolo: [2, 0, 0], voc: [1, 1, 0] }[format] ?? [1, 0, 1]);
  });

  it('accounts for an image that is gone', async () => {
    const files = await written[format]!();
    const name = Object.keys(files).find((each) => each.endsWith('my photo 1.jpg'))!;
    const { [name]: _, ...rest } = files;
    const { counts, issues } = await openFiles(rest);
    expect(counts).toMatchObject({ seen: 3, used: 1, background: 1, skipped: 1, ignored: 0 });
    expect(issues.map(({ kind }) => kind)).toEqual(['image-missing']);
  });

  it('accounts for an image that is there in another format alone', async () => {
    const files = await written[format]!();
    const name = Object.keys(files).find((each) => each.endsWith('my photo 1.jpg'))!;
    const { [name]: _, ...rest } = files;
    const bmp = name.replace('.jpg', '.bmp');
    const { counts, issues } = await openFiles({ ...rest, [bmp]: 'BM' });
    expect(issues[0]!.message).toMatch(/my photo 1\.bmp is there, which is no JPEG, PNG or WebP: convert it/);
    expect(counts.ignoredBecause).toEqual({ 'image that is no JPEG, PNG or WebP (.bmp)': 1 });
  });
});
