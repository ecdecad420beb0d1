import { checkOneOf, wrongArgument } from '../../base/check.ts';
import { number, object, tableSchema } from '../../base/kinds.ts';
import { type Given, option, type Resolved, resolve } from '../../base/option.ts';
import { type IouCrop, type IouCropOptions, iouCropTable } from './iou-crop.ts';
import { type Mixup, type MixupOptions, mixupTable } from './mixup.ts';
import { type Mosaic, type MosaicOptions, mosaicTable } from './mosaic.ts';
import {
  type PhotometricDistort,
  type PhotometricDistortOptions,
  photometricDistortTable,
} from './photometric-distort.ts';
import { type ScaleJitter, type ScaleJitterOptions, scaleJitterTable } from './scale-jitter.ts';
import { type ZoomOut, type ZoomOutOptions, zoomOutTable } from './zoom-out.ts';

/** The transforms of training images, in the order in which they are applied; one that is left out is not applied. */
export const augmentationTable = {
  /** Changes brightness, contrast, saturation and hue at random, as torchvision's RandomPhotometricDistort. */
  photometricDistort: option(object<PhotometricDistortOptions, PhotometricDistort>(photometricDistortTable), {
    help: 'brightness, contrast, saturation and hue',
  }),
  /** Puts the image on a larger canvas, as torchvision's RandomZoomOut. */
  zoomOut: option(object<ZoomOutOptions, ZoomOut>(zoomOutTable), { help: 'the image on a larger canvas' }),
  /** Enlarges a part of the image, or makes the image smaller. */
  scaleJitter: option(object<ScaleJitterOptions, ScaleJitter>(scaleJitterTable), {
    help: 'a part of the image larger, or all of it smaller',
  }),
  /** Cuts out a part that overlaps an object by a drawn IoU, as torchvision's RandomIoUCrop. */
  iouCrop: option(object<IouCropOptions, IouCrop>(iouCropTable), { help: 'a part that overlaps an object' }),
  /** Combines four images into one. */
  mosaic: option(object<MosaicOptions, Mosaic>(mosaicTable), { help: 'four images in one' }),
  /** Lays a second image over the image, with its objects. */
  mixup: option(object<MixupOptions, Mixup>(mixupTable), { help: 'a second image over the first' }),
  /**
   * The share of epochs at the end that use no transforms except flips.
   * @default 0.1
   */
  offForLast: option(number({ max: 1 }), { default: 0.1, help: 'share of the epochs, at the end, without transforms' }),
};

/** The transforms of training images, after the check and with defaults. A transform that is left out is not applied. */
export interface Augmentation extends Resolved<typeof augmentationTable> {}

/** The transforms of training images. Options that are left out are torchvision's: `{ zoomOut: {} }` is only RandomZoomOut(). */
export interface AugmentationOptions extends Given<typeof augmentationTable> {}

/** The augmentation of torchvision's SSD (references/detection, preset "ssd"). Flips are an option of the Trainer. */
export const ssdAugmentation: AugmentationOptions = { photometricDistort: {}, zoomOut: {}, iouCrop: {} };

/** The named augmentations: only flips, or torchvision's for SSD (`ssdAugmentation`). */
export const augmentationNames = ['none', 'ssd'] as const;
export type AugmentationName = (typeof augmentationNames)[number];

/** The JSON Schema of either. */
export const augmentationSchema = { anyOf: [{ enum: augmentationNames }, tableSchema(augmentationTable)] };

/**
 * A profile's name, or transforms with their options, complete; undefined for "none". Throws `TypeError` or `RangeError` naming the
 * key.
 */
export function resolveAugmentation(name: string, value: unknown): Augmentation | undefined {
  if (typeof value === 'string') {
    const profile = checkOneOf(name, value, augmentationNames);
    return profile === 'none' ? undefined : resolveAugmentation(name, ssdAugmentation);
  }
  const augmentation = resolve(augmentationTable, value, { name });
  if (augmentation.iouCrop) checkEnds(`${name}.iouCrop`, augmentation.iouCrop);
  return augmentation;
}

/** How many of a run's epochs are augmented: the first ones. */
export function augmentedEpochs({ offForLast }: Augmentation, epochs: number): number {
  return epochs - Math.round(epochs * offForLast);
}

/** @throws {RangeError} for a range that ends before it begins */
function checkEnds(name: string, crop: IouCrop): void {
  for (const [from, to] of [
    ['minScale', 'maxScale'],
    ['minAspectRatio', 'maxAspectRatio'],
  ] as const) {
    if (crop[from] <= crop[to]) continue;
    throw new RangeError(wrongArgument(`${name}.${from}`, `number <= ${to} (${crop[to]})`, crop[from]));
  }
}
