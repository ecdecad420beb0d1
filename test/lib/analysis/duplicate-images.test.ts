import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findDuplicateImages } from '../../../lib/analysis/duplicate-images.ts';
import { expectError, temporaryFolder, writeFiles } from '../../support/voc.ts';

async function samplesOf(files: Record<string, string>) {
  const folder = await temporaryFolder();
  await writeFiles(folder, files);
  return Object.keys(files).map((id) => ({ id, imagePath: join(folder, id), width: 1, height: 1, objects: [] }));
}

it('finds files of the same bytes, and no others of the same length', async () => {
  const samples = await samplesOf({ a: 'one', b: 'two', c: 'one', d: 'three', e: 'three', f: 'six', g: 'one' });
  const progress: number[][] = [];
  const onProgress = (done: number, total: number) => void progress.push([done, total]);
  expect(await findDuplicateImages(samples, { onProgress })).toEqual([
    ['a', 'c', 'g'],
    ['d', 'e'],
  ]);
  expect(progress).toEqual([1, 2, 3, 4, 5, 6, 7].map((done) => [done, 7]));
});

it('names a file that is gone', async () => {
  const samples = await samplesOf({ a: 'one' });
  const gone = { ...samples[0]!, imagePath: `${samples[0]!.imagePath}-gone` };
  await expectError(findDuplicateImages([...samples, gone]), 'IMAGE_UNREADABLE', gone.imagePath);
});

it('stops with the reason of the signal', async () => {
  const samples = await samplesOf({ a: 'one', b: 'two', c: 'six' });
  const abort = new AbortController();
  let calls = 0;
  const onProgress = () => {
    calls++;
    abort.abort(new Error('enough'));
  };
  await expect(findDuplicateImages(samples, { onProgress, signal: abort.signal })).rejects.toThrow('enough');
  expect(calls).toBe(1);
});
