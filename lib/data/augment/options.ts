import { checkInteger, checkKeys, checkNumber, checkOneOf, wrongArgument } from '../../base/check.ts';
import type { IouCrop } from './iou-crop.ts';
import type { Mixup } from './mixup.ts';
import type { Mosaic } from './mosaic.ts';
import type { PhotometricDistort } from './photometric-distort.ts';
import type { ScaleJitter } from './scale-jitter.ts';
import type { ZoomOut } from './zoom-out.ts';

/** The transforms of training images, in the order in which they are applied; one that is left out is not applied. */
export interface Augmentation {
  photometricDistort?: PhotometricDistort;
  zoomOut?: ZoomOut;
  scaleJitter?: ScaleJitter;
  iouCrop?: IouCrop;
  mosaic?: Mosaic;
  mixup?: Mixup;
  /** Share of the epochs, at the end, that show the images as they are, but for flips. Default 0.1. */
  offForLast: number;
}

/** `Augmentation` with defaults, which are torchvision's where it has the transform: `{ zoomOut: {} }` is RandomZoomOut() alone. */
export type AugmentationOptions = {
  [Key in keyof Augmentation]?: Augmentation[Key] extends number ? number : Partial<NonNullable<Augmentation[Key]>>;
};

/** What torchvision trains its SSD with (references/detection, preset "ssd"). Flips are an option of the Trainer. */
export const ssdAugmentation: AugmentationOptions = { photometricDistort: {}, zoomOut: {}, iouCrop: {} };

/** The augmentations that have a name: nothing but flips, or torchvision's for SSD (`ssdAugmentation`). */
export const augmentationNames = ['none', 'ssd'] as const;
export type AugmentationName = (typeof augmentationNames)[number];

type Fields = Record<string, unknown>;
type Range = readonly [number, number];

const FACTORS = { min: 0, max: 100 };

const transforms = {
  photometricDistort: (name: string, value: unknown): PhotometricDistort => {
    const fields = checkKeys(name, value, ['p', 'brightness', 'contrast', 'saturation', 'hue']);
    return {
      p: checkProbability(name, fields, 0.5),
      brightness: checkRange(name, fields, 'brightness', [0.875, 1.125], FACTORS),
      contrast: checkRange(name, fields, 'contrast', [0.5, 1.5], FACTORS),
      saturation: checkRange(name, fields, 'saturation', [0.5, 1.5], FACTORS),
      hue: checkRange(name, fields, 'hue', [-0.05, 0.05], { min: -0.5, max: 0.5 }),
    };
  },
  zoomOut: (name: string, value: unknown): ZoomOut => {
    const fields = checkKeys(name, value, ['p', 'sideRange']);
    return {
      p: checkProbability(name, fields, 0.5),
      sideRange: checkRange(name, fields, 'sideRange', [1, 4], { min: 1, max: 100 }),
    };
  },
  scaleJitter: (name: string, value: unknown): ScaleJitter => {
    const fields = checkKeys(name, value, ['p', 'scaleRange']);
    return {
      p: checkProbability(name, fields, 1),
      scaleRange: checkRange(name, fields, 'scaleRange', [0.1, 2], { min: 0.01, max: 100 }),
    };
  },
  iouCrop: (name: string, value: unknown): IouCrop => {
    const keys = ['minScale', 'maxScale', 'minAspectRatio', 'maxAspectRatio', 'samplerOptions', 'trials'];
    const fields = checkKeys(name, value, keys);
    const scale = checkEnds(name, fields, ['minScale', 'maxScale'], [0.3, 1], { min: 0.01, max: 1 });
    const aspect = checkEnds(name, fields, ['minAspectRatio', 'maxAspectRatio'], [0.5, 2], { min: 0.01, max: 100 });
    return {
      ...{ minScale: scale[0], maxScale: scale[1], minAspectRatio: aspect[0], maxAspectRatio: aspect[1] },
      samplerOptions: checkSamplerOptions(`${name}.samplerOptions`, fields.samplerOptions),
      trials: checkInteger(`${name}.trials`, fields.trials ?? 40, 1, 1000),
    };
  },
  mosaic: (name: string, value: unknown): Mosaic => {
    const fields = checkKeys(name, value, ['p', 'centerRange']);
    return {
      p: checkProbability(name, fields, 0.5),
      centerRange: checkRange(name, fields, 'centerRange', [0.25, 0.75], { min: 0, max: 1 }),
    };
  },
  mixup: (name: string, value: unknown): Mixup => {
    const fields = checkKeys(name, value, ['p', 'weightRange']);
    return {
      p: checkProbability(name, fields, 0.5),
      weightRange: checkRange(name, fields, 'weightRange', [0.4, 0.6], { min: 0, max: 1 }),
    };
  },
};

/**
 * A profile's name, or transforms with their options, complete; undefined for "none". Throws `TypeError` or `RangeError` naming the
 * key.
 */
export function resolveAugmentation(name: string, value: unknown): Augmentation | undefined {
  if (typeof value === 'string') {
    const profile = checkOneOf(name, value, augmentationNames);
    return profile === 'none' ? undefined : resolveAugmentation(name, ssdAugmentation);
  }
  const keys = Object.keys(transforms) as (keyof typeof transforms)[];
  const fields = checkKeys(name, value, [...keys, 'offForLast']);
  const chosen = keys.filter((key) => fields[key] !== undefined);
  const resolved = chosen.map((key) => [key, transforms[key](`${name}.${key}`, fields[key])]);
  const offForLast = checkNumber(`${name}.offForLast`, fields.offForLast ?? 0.1, 0, 1);
  return { ...Object.fromEntries(resolved), offForLast };
}

/** How many of a run's epochs are augmented: the first ones. */
export function augmentedEpochs({ offForLast }: Augmentation, epochs: number): number {
  return epochs - Math.round(epochs * offForLast);
}

function checkProbability(name: string, { p }: Fields, fallback: number): number {
  return checkNumber(`${name}.p`, p ?? fallback, 0, 1);
}

interface Limits {
  min: number;
  max: number;
}

/** A pair [from, to]. */
function checkRange(name: string, fields: Fields, key: string, fallback: Range, { min, max }: Limits): Range {
  const value = fields[key] ?? fallback;
  const expected = `a pair [from, to] of increasing numbers from ${min} to ${max}`;
  if (!Array.isArray(value)) throw new TypeError(wrongArgument(`${name}.${key}`, expected, value));
  const [from, to] = value.map((end, i) => checkNumber(`${name}.${key}[${i}]`, end, min, max));
  if (value.length === 2 && from! <= to!) return [from!, to!];
  throw new RangeError(wrongArgument(`${name}.${key}`, expected, JSON.stringify(value)));
}

/** The two ends of a range under keys of their own. */
function checkEnds(name: string, fields: Fields, keys: [string, string], fallback: Range, limits: Limits): Range {
  const [from, to] = keys.map((key, i) =>
    checkNumber(`${name}.${key}`, fields[key] ?? fallback[i], limits.min, limits.max),
  );
  if (from! <= to!) return [from!, to!];
  throw new RangeError(wrongArgument(`${name}.${keys[0]}`, `number <= ${keys[1]} (${to})`, from));
}

function checkSamplerOptions(name: string, value: unknown): number[] {
  if (value === undefined) return [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1];
  if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, 'array of numbers from 0 to 1', value));
  checkInteger(`${name}.length`, value.length, 1, 100);
  return value.map((option, i) => checkNumber(`${name}[${i}]`, option, 0, 1));
}
