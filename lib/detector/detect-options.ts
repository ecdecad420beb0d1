import { checkInteger } from '../base/check.ts';
import { boolean, integer } from '../base/kinds.ts';
import { type Given, option, type Resolved, resolve } from '../base/option.ts';
import type { CallOptions } from '../base/signal.ts';
import { type ShownOptions, shownTable } from '../model/postprocess-options.ts';

const group = 'Detection';

const ownTable = {
  /**
   * Whether images are turned upright by their EXIF orientation first; boxes are then for the upright image.
   * @default true
   */
  autoOrient: option(boolean(), { default: true, group, help: 'turn images upright by their EXIF orientation first' }),
  /**
   * The number of images that go through the model together.
   * @default 8
   */
  batchSize: option(integer({ min: 1, max: 1024 }), {
    default: 8,
    group,
    flags: ['batch'],
    help: 'images that go through the model together',
  }),
};

/** Every option of `detect`. */
export const detectTable = { ...shownTable, ...ownTable };

/** The options of `detect`: thresholds, limits and cancelling. */
export interface DetectOptions extends ShownOptions, Given<typeof ownTable>, CallOptions {}

/** The boxes of a batch, 16 bytes each, come back in one buffer, which is to stay below 2 GB: Electron has none that is larger. */
const MAX_BATCH_DETECTIONS = 2 ** 27 - 1;

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkDetectOptions(value: Omit<DetectOptions, 'signal'>): Resolved<typeof detectTable> {
  const options = resolve(detectTable, value);
  checkInteger('maxDetections x batchSize', options.maxDetections * options.batchSize, 1, MAX_BATCH_DETECTIONS);
  return options;
}
