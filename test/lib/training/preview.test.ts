import { unlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../lib/images/image.ts';
import { type PreviewOptions, previewAugmentation } from '../../../lib/training/preview.ts';
import { openSquares } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const imageSize = { width: 96, height: 64 };
const open = async (count: number) => openSquares(await temporaryFolder(), count);

/** The colour at a place of a sheet. */
async function colourAt(png: Buffer, x: number, y: number): Promise<number[]> {
  const { data, width } = await decodeImage(png);
  return [...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)];
}

describe('previewAugmentation', () => {
  it('lays images of 320 pixels out in rows of four, fewer when there are fewer', async () => {
    const dataset = await open(6);
    const sizes = { 1: [320, 213], 4: [1280, 213], 5: [1280, 426], 8: [1280, 426] };
    for (const [count, [width, height]] of Object.entries(sizes)) {
      const sheet = await decodeImage(await previewAugmentation(dataset, { imageSize, count: Number(count) }));
      expect([sheet.width, sheet.height]).toEqual([width, height]);
    }
  });

  it('shows the pixels of the batch: the fill colour around a small image, the boxes on it', async () => {
    const dataset = await open(1);
    const augmentation = { zoomOut: { p: 1, sideRange: [4, 4] as const } };
    const png = await previewAugmentation(dataset, { imageSize, augmentation, flipProbability: 0 });
    const corners = [
      [10, 10],
      [300, 10],
      [10, 200],
      [300, 200],
    ];
    const filled = await Promise.all(corners.map(async ([x, y]) => (await colourAt(png, x!, y!)).join()));
    expect(filled.filter((colour) => colour === '124,116,104').length).toBeGreaterThanOrEqual(3);
    const plain = await previewAugmentation(dataset, { imageSize, flipProbability: 0 });
    expect(await colourAt(plain, 10, 200)).toEqual([128, 128, 128]);
    // The square is at 5..23 of 96 and 4..22 of 64: its box runs through x = 17, and inside of it is red.
    expect(await colourAt(plain, 45, 45)).toEqual([255, 0, 0]);
    expect(await colourAt(plain, 18, 45)).not.toEqual([128, 128, 128]);
    expect(await colourAt(plain, 18, 45)).not.toEqual([255, 0, 0]);
  });

  it('is the same again, other in another epoch, plain in the last one', async () => {
    const dataset = await open(4);
    const show = (epoch: number, augmentation: PreviewOptions['augmentation'] = 'ssd') =>
      previewAugmentation(dataset, { imageSize, augmentation, epoch, epochs: 10 });
    expect(await show(1)).toEqual(await show(1));
    expect(await show(1)).not.toEqual(await show(2));
    expect(await show(10)).toEqual(await show(10, 'none'));
    expect(await show(9)).not.toEqual(await show(9, 'none'));
  });

  it('tells of an image that cannot be read, and fails when none can', async () => {
    const dataset = await open(2);
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    await unlink(dataset.samples[0]!.imagePath);
    const sheet = await decodeImage(await previewAugmentation(dataset, { imageSize, onWarning }));
    expect(sheet.width).toBe(320);
    expect(warnings).toEqual([expect.stringContaining(dataset.samples[0]!.imagePath)]);
    await unlink(dataset.samples[1]!.imagePath);
    await expectError(previewAugmentation(dataset, { imageSize, onWarning }), 'DATASET_EMPTY', 'None of the images');
  });

  it('rejects with the reason of the signal', async () => {
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await expect(previewAugmentation(await open(1), { imageSize, signal })).rejects.toBe(reason);
  });

  it.each<[object, string]>([
    [{ count: 0 }, 'integer from 1 to 100 for count'],
    [{ epoch: 21 }, 'integer from 1 to 20 for epoch'],
    [{ epochs: 0 }, 'integer >= 1 for epochs'],
    [{ imageSize: { width: 100, height: 64 } }, 'multiple of 32 for imageSize.width'],
    [{ augmentation: { zoom: {} } }, 'Unknown key "zoom" in augmentation'],
    [{ seed: -1 }, 'integer >= 0 for seed'],
    [{ flipProbability: 2 }, 'number from 0 to 1 for flipProbability'],
    [{ size: 3 }, 'Unknown key "size" in options'],
  ])('refuses %j', async (options, message) => {
    await expect(previewAugmentation(await open(1), options as PreviewOptions)).rejects.toThrow(message);
  });

  it('refuses what is no data set', async () => {
    await expect(previewAugmentation([] as never)).rejects.toThrow(
      'Expected Dataset, as VocDataset.open or Dataset.from give it, for dataset',
    );
  });
});
