import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Dataset, type SampleInput } from '../../../lib/data/dataset.ts';
import type { DatasetSource } from '../../../lib/data/read-samples.ts';
import { expectError, noise, pngOfSize, solid, temporaryFolder, writeFiles } from '../../support/voc.ts';

const classes = ['dog', 'pottedplant'];
const box = { xmin: 1, ymin: 2, xmax: 30, ymax: 40 };
const dog = { label: 'dog', box };
const sized = { imagePath: 'a.jpg', width: 64, height: 48 };

const from = (samples: readonly SampleInput[], more: Partial<DatasetSource> = {}) =>
  Dataset.from(samples, { classes, ...more });

async function writeImages() {
  const folder = await temporaryFolder();
  const whole = await noise(64, 48).jpeg().toBuffer();
  await writeFiles(folder, {
    'good.jpg': whole,
    'cut.jpg': whole.subarray(0, -200),
    'turned.jpg': await solid(48, 64).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    'bomb.png': await pngOfSize(12_000, 12_000),
  });
  return (name: string) => join(folder, name);
}

describe('Dataset.from', () => {
  it('makes a data set without reading a file whose size is known', async () => {
    const plant = { label: 'pottedplant', box: { xmin: 0, ymin: 0.5, xmax: 64, ymax: 48 }, difficult: true };
    const dataset = await from([
      { ...sized, objects: [dog, plant] },
      { ...sized, id: 'empty', objects: [] },
    ]);
    expect(dataset.length).toBe(2);
    expect(dataset.issues).toEqual([]);
    expect(dataset.samples).toEqual([
      {
        ...{ id: 'a.jpg', ...sized },
        objects: [
          { label: 'dog', labelIndex: 1, box, difficult: false },
          { ...plant, labelIndex: 2 },
        ],
      },
      { id: 'empty', ...sized, objects: [] },
    ]);
  });

  it('reads a missing size from the image file, upright by its EXIF orientation', async () => {
    const path = await writeImages();
    const progress: number[][] = [];
    const dataset = await from(
      ['good.jpg', 'turned.jpg', 'cut.jpg'].map((name) => ({ imagePath: path(name), objects: [dog] })),
      { onProgress: (done, total) => void progress.push([done, total]) },
    );
    expect(dataset.samples.map(({ width, height }) => [width, height])).toEqual([
      [64, 48],
      [64, 48],
      [64, 48],
    ]);
    expect(progress).toEqual([1, 2, 3].map((done) => [done, 3]));
  });

  it('decodes every image with verifyImages, and reports another size than the given one', async () => {
    const path = await writeImages();
    const samples = ['good.jpg', 'turned.jpg', 'cut.jpg', 'bomb.png', 'missing.jpg'].map((name) => ({
      ...{ imagePath: path(name), annotationPath: 'labels.json', width: 64, height: 48, objects: [dog] },
    }));
    samples[1]!.width = 100;
    const { samples: kept, issues } = await from(samples, { verifyImages: true });
    expect(kept.map(({ imagePath, width }) => [imagePath, width])).toEqual([
      [path('good.jpg'), 64],
      [path('turned.jpg'), 64],
    ]);
    expect(issues.map(({ file, kind, action }) => [file, kind, action])).toEqual([
      ['labels.json', 'size-mismatch', 'kept'],
      [path('cut.jpg'), 'image-unreadable', 'skipped'],
      [path('bomb.png'), 'image-unreadable', 'skipped'],
      [path('missing.jpg'), 'image-unreadable', 'skipped'],
    ]);
    expect(issues[0]!.message).toContain('the given size is 100 x 48, the image 64 x 48');
    expect((await from(samples)).issues).toEqual([]);
  });

  it.each([
    ['an unknown class', { label: 'dig', box }, 'unknown-class', '"dig" is not in the class list; did you mean "dog"?'],
    ['the background', { label: '__background__', box }, 'unknown-class', '"__background__" is not in the class list'],
    ['NaN', { label: 'dog', box: { ...box, ymin: Number.NaN } }, 'coordinate-invalid', 'found [1, NaN, 30, 40]'],
    ['infinity', { label: 'dog', box: { ...box, xmax: Infinity } }, 'coordinate-invalid', 'found [1, 2, Infinity, 40]'],
    ['a turned box', { label: 'dog', box: { ...box, xmax: 0 } }, 'box-empty', '[1, 2, 0, 40] needs xmin < xmax'],
    ['a box elsewhere', { label: 'dog', box: { ...box, xmin: 64, xmax: 70 } }, 'box-outside', 'the image of 64 x 48'],
  ])('skips %s, says so as VocDataset does, and keeps the others', async (_, bad, kind, message) => {
    const { samples, issues } = await from([{ ...sized, objects: [dog, bad, dog] }]);
    expect(samples[0]!.objects).toHaveLength(2);
    expect(issues).toEqual([
      { file: 'a.jpg', object: 1, kind, message: expect.stringContaining(message), action: 'skipped' },
    ]);
  });

  it('clips a box that reaches beyond the image, and puts its own issues after those of the loader', async () => {
    const own = {
      file: 'labels.csv',
      kind: 'annotation-invalid',
      message: 'line 3 is empty',
      action: 'skipped',
    } as const;
    const objects = [{ label: 'dog', box: { ...box, ymax: 99 } }];
    const { samples, issues } = await from([{ ...sized, objects }], { issues: [own] });
    expect(samples[0]!.objects[0]!.box).toEqual({ ...box, ymax: 48 });
    expect(issues.map(({ kind, action }) => [kind, action])).toEqual([
      ['annotation-invalid', 'skipped'],
      ['box-clipped', 'repaired'],
    ]);
  });

  it('fails without a sample, and when every object was skipped', async () => {
    await expectError(from([]), 'DATASET_EMPTY', 'the given samples', 'no image');
    const objects = [{ label: 'cow', box }];
    await expectError(from([{ ...sized, objects }]), 'DATASET_EMPTY', 'none of the annotated objects', '"cow" is not');
  });

  it.each<[string, unknown, string]>([
    ['no array', {}, 'Expected array for samples'],
    ['no object', [null], 'Expected object for samples[0]'],
    ['an unknown key', [{ ...sized, objects: [], path: '' }], 'Unknown key "path" in samples[0]'],
    ['no path', [{ objects: [] }], 'samples[0].imagePath'],
    ['a width without a height', [{ imagePath: 'a.jpg', width: 4, objects: [] }], 'samples[0].height'],
    ['a width of 0', [{ ...sized, width: 0, objects: [] }], 'integer >= 1 for samples[0].width'],
    ['no objects', [sized], 'Expected array for samples[0].objects'],
    ['no label', [{ ...sized, objects: [{ box }] }], 'samples[0].objects[0].label'],
    ['no box', [{ ...sized, objects: [{ label: 'dog' }] }], 'samples[0].objects[0].box'],
    ['a text', [{ ...sized, objects: [dog, { label: 'dog', box: { ...box, xmin: '1' } }] }], 'objects[1].box.xmin'],
  ])('refuses %s, naming it', async (_, samples, message) => {
    await expect(from(samples as never)).rejects.toThrow(message);
  });

  it('refuses wrong options', async () => {
    await expect(Dataset.from([], {} as never)).rejects.toThrow('for classes');
    await expect(from([], { verifyImage: true } as never)).rejects.toThrow('did you mean "verifyImages"?');
    await expect(from([], { signal: {} as never })).rejects.toThrow('Expected AbortSignal for signal');
    await expect(from([], { issues: {} as never })).rejects.toThrow('Expected array for issues');
  });

  it('stops with the reason of the signal, and with what onProgress throws', async () => {
    const path = await writeImages();
    const samples = Array.from({ length: 9 }, () => ({ imagePath: path('good.jpg'), objects: [dog] }));
    const abort = new AbortController();
    const onProgress = () => abort.abort(new Error('enough'));
    await expect(from(samples, { signal: abort.signal, onProgress })).rejects.toThrow('enough');
    const fail = () => {
      throw new Error('no display');
    };
    await expect(from(samples, { onProgress: fail })).rejects.toThrow('no display');
  });

  it('does not hold up the event loop with a million objects', async () => {
    const objects = Array.from({ length: 100 }, () => dog);
    const samples = Array.from({ length: 10_000 }, () => ({ ...sized, objects }));
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    await from(samples);
    clearInterval(timer);
    expect(longest).toBeLessThan(500);
  });
});
