import { checkInteger } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { callback, integer } from '../base/kinds.ts';
import { type Given, option, pick, resolve } from '../base/option.ts';
import { type CallOptions, takeSignal } from '../base/signal.ts';
import { native } from '../binding.ts';
import { type Size, scaleBox } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';
import { checkDataset } from '../data/check-dataset.ts';
import { DataLoader, type DataLoaderOptions, fillColour } from '../data/data-loader.ts';
import type { Dataset } from '../data/dataset.ts';
import { createTable, type DetectorOptions } from '../detector/detector-options.ts';
import type { RgbImage } from '../images/image.ts';
import { presetConfig } from '../model/config.ts';
import { type TrainerOptions, trainerTable } from './trainer-options.ts';

const group = 'Images';

const ownTable = {
  /**
   * The epoch to show, from 1.
   * @default 1
   */
  epoch: option(integer({ min: 1 }), { default: 1, group, help: 'the epoch to show' }),
  /**
   * The number of images on the sheet, 1 to 100.
   * @default 8
   */
  count: option(integer({ min: 1, max: 100 }), { default: 8, group, help: 'images on the sheet, 1 to 100' }),
  /**
   * Called with a sentence about every image that cannot be read.
   * @default none
   */
  onWarning: option(callback<(message: string) => void>(), { group, flag: false, help: 'told of unreadable images' }),
};

const training = ['augmentation', 'flipProbability', 'seed', 'epochs'] as const;

/** Every option of `previewAugmentation`. */
export const previewTable = {
  ...pick(createTable, ['imageSize', 'resize']),
  ...pick(trainerTable, training),
  ...ownTable,
};

/** The options of `previewAugmentation`. They include the options of the detector and the Trainer that change training images. */
export interface PreviewOptions
  extends Pick<DetectorOptions, 'imageSize' | 'resize'>,
    Pick<TrainerOptions, (typeof training)[number]>,
    Given<typeof ownTable>,
    CallOptions {}

const COLUMNS = 4;
const TILE_WIDTH = 320;
/** Between tiles: images with a rim of the fill colour would run into each other. */
const GAP = 4;

interface Tile extends RgbImage {
  objects: GroundTruth[];
}

/**
 * Draws a contact sheet (PNG) of the first images of a training epoch with their boxes, exactly as the model gets them. It needs LibTorch,
 * like training.
 *
 * @throws {TypeError|RangeError} for a wrong option, naming it
 * @throws {DetectorError} `DATASET_EMPTY` when no image can be read
 * @throws the reason of `signal` when it is aborted
 */
export async function previewAugmentation(dataset: Dataset, options: PreviewOptions = {}): Promise<Buffer> {
  checkDataset('dataset', dataset);
  const { signal, given } = takeSignal(options);
  const { epoch, count, onWarning, size, loader: loaderOptions } = resolveOptions(given);
  const addon = await native();
  const loader = new DataLoader(addon, dataset, loaderOptions);
  const tiles: Tile[] = [];
  for await (const { handle, objects } of loader.epoch(epoch - 1, 0, { onWarning, signal })) {
    tiles.push({ data: addon.readBatch(handle), ...size, objects: objects[0]! });
    if (tiles.length === count) break;
  }
  if (tiles.length === 0) throw new DetectorError('DATASET_EMPTY', 'None of the images of the data set could be read');
  return contactSheet(tiles, size);
}

function resolveOptions(given: Omit<PreviewOptions, 'signal'>) {
  const { imageSize, resize, augmentation, flipProbability, seed, epochs, ...own } = resolve(previewTable, given);
  checkInteger('epoch', own.epoch, 1, epochs);
  const size = imageSize ?? { width: 640, height: 640 };
  const config = presetConfig('article', 'convnext_tiny', size, { ...(resize && { resize }) });
  const transforms = augmentation && { transforms: augmentation, epochs, fill: fillColour(config) };
  const shuffle = { seed, flipProbability, augmentation: transforms };
  const loader: DataLoaderOptions = { size, resize, batchSize: 1, workers: 2, shuffle };
  return { ...own, size, loader };
}

async function contactSheet(images: readonly Tile[], size: Size): Promise<Buffer> {
  const { default: sharp } = await import('sharp'); // a native library: loaded when it is needed
  const cell = { width: TILE_WIDTH, height: Math.max(2 * GAP, Math.round((TILE_WIDTH * size.height) / size.width)) };
  const tile = { width: cell.width - GAP, height: cell.height - GAP };
  const tiles = await Promise.all(
    images.map(async (image, i) => ({
      input: await drawTile(image, tile),
      left: (i % COLUMNS) * cell.width + GAP / 2,
      top: Math.floor(i / COLUMNS) * cell.height + GAP / 2,
    })),
  );
  const canvas = {
    width: Math.min(COLUMNS, tiles.length) * cell.width,
    height: Math.ceil(tiles.length / COLUMNS) * cell.height,
    channels: 3,
    background: 'white',
  } as const;
  return sharp({ create: canvas }).composite(tiles).png().toBuffer();
}

/** Resized first, so that lines and letters can be read. */
async function drawTile({ data, width, height, objects }: Tile, tile: Size): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const resized = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(tile.width, tile.height, { fit: 'fill' })
    .raw()
    .toBuffer();
  const boxes = objects.map(({ label, box }) => ({
    label,
    box: scaleBox(box, tile.width / width, tile.height / height),
  }));
  const { annotateImage } = await import('../images/draw.ts');
  return annotateImage({ data: resized, ...tile }, boxes, { format: 'png' });
}
