import { checkFunction, checkInteger, checkKeys, checkNumber } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import { type CallOptions, checkSignal } from '../base/signal.ts';
import { native } from '../binding.ts';
import { type Size, scaleBox } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';
import type { RgbImage } from '../images/image.ts';
import { checkImageSize, presetConfig } from '../model/config.ts';
import { type AugmentationName, type AugmentationOptions, resolveAugmentation } from './augment/options.ts';
import { checkDataset } from './check-dataset.ts';
import { DataLoader, type DataLoaderOptions, meanColour } from './data-loader.ts';
import type { Dataset } from './dataset.ts';

/** The options of `previewAugmentation`. `augmentation`, `flipProbability`, `seed` and `epochs` are those of the Trainer. */
export interface PreviewOptions extends CallOptions {
  /**
   * The size that the images are resized to, in pixels.
   * @default 640 x 640
   */
  imageSize?: Size;
  /**
   * The augmentation of the training.
   * @default 'none'
   */
  augmentation?: AugmentationName | AugmentationOptions;
  /**
   * The probability of a horizontal flip, 0 to 1.
   * @default 0.5
   */
  flipProbability?: number;
  /**
   * The seed of the training.
   * @default 42
   */
  seed?: number;
  /**
   * The epochs of the training: its last ones may be without augmentation.
   * @default 20
   */
  epochs?: number;
  /**
   * The epoch that is shown, from 1.
   * @default 1
   */
  epoch?: number;
  /**
   * Images on the sheet, 1 to 100.
   * @default 8
   */
  count?: number;
  /** Called with a sentence about every image that cannot be read. */
  onWarning?: ((message: string) => void) | undefined;
}

const COLUMNS = 4;
const TILE_WIDTH = 320;
/** Between tiles: images with a rim of the fill colour would run into each other. */
const GAP = 4;

interface Tile extends RgbImage {
  objects: GroundTruth[];
}

/**
 * Draws a contact sheet (PNG) of the first images of a training epoch, exactly as the model gets them, with the boxes of their objects.
 * It needs LibTorch, as training does.
 *
 * @throws {TypeError|RangeError} for a wrong option, naming it
 * @throws {DetectorError} `DATASET_EMPTY` when no image can be read
 * @throws the reason of `signal` when it is aborted
 */
export async function previewAugmentation(dataset: Dataset, options: PreviewOptions = {}): Promise<Buffer> {
  checkDataset('dataset', dataset);
  const { epoch, count, loader: loaderOptions } = resolve(options);
  const addon = await native();
  const loader = new DataLoader(addon, dataset, loaderOptions);
  const { onWarning, signal } = options;
  const tiles: Tile[] = [];
  for await (const { handle, objects } of loader.epoch(epoch - 1, 0, { onWarning, signal })) {
    tiles.push({ data: addon.readBatch(handle), ...loaderOptions.size, objects: objects[0]! });
    if (tiles.length === count) break;
  }
  if (tiles.length === 0) throw new DetectorError('DATASET_EMPTY', 'None of the images of the data set could be read');
  return contactSheet(tiles, loaderOptions.size);
}

function resolve(value: PreviewOptions): { epoch: number; count: number; loader: DataLoaderOptions } {
  const keys = [
    'imageSize',
    'augmentation',
    'flipProbability',
    'seed',
    'epochs',
    'epoch',
    'count',
    'onWarning',
    'signal',
  ];
  const options = checkKeys('options', value, keys) as PreviewOptions;
  if (options.onWarning !== undefined) checkFunction('onWarning', options.onWarning);
  checkSignal('signal', options.signal);
  const size = checkImageSize('imageSize', options.imageSize ?? { width: 640, height: 640 });
  const transforms = resolveAugmentation('augmentation', options.augmentation ?? 'none');
  const epochs = checkInteger('epochs', options.epochs ?? 20, 1);
  const { mean } = presetConfig('article', 'convnext_tiny', size);
  const shuffle = {
    seed: checkInteger('seed', options.seed ?? 42, 0),
    flipProbability: checkNumber('flipProbability', options.flipProbability ?? 0.5, 0, 1),
    augmentation: transforms && { transforms, epochs, fill: meanColour(mean) },
  };
  return {
    epoch: checkInteger('epoch', options.epoch ?? 1, 1, epochs),
    count: checkInteger('count', options.count ?? 8, 1, 100),
    loader: { size, batchSize: 1, workers: 2, shuffle },
  };
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
