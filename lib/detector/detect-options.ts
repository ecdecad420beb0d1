import { checkBoolean, checkInteger, checkKeys, checkNumber } from '../base/check.ts';
import type { CallOptions } from '../base/signal.ts';

/** What `detect` looks for. */
export interface DetectOptions extends CallOptions {
  /** Detections score above this, 0 to 1; default 0.15, as the article's inference. */
  scoreThreshold?: number;
  /** Of one image, the best ones; default 200. */
  maxDetections?: number;
  /** Turn images upright by their EXIF orientation first; boxes are then for the upright image. Default true. */
  autoOrient?: boolean;
  /** Images that go through the model together; default 8. */
  batchSize?: number;
}

/** The boxes of a batch, 16 bytes each, come back in one buffer, which is to stay below 2 GB: Electron has none that is larger. */
const MAX_BATCH_DETECTIONS = 2 ** 27 - 1;

/** The same with its defaults. @throws {TypeError|RangeError} naming the option */
export function checkDetectOptions(value: Omit<DetectOptions, 'signal'>): Required<Omit<DetectOptions, 'signal'>> {
  const keys = ['scoreThreshold', 'maxDetections', 'autoOrient', 'batchSize'];
  const options = checkKeys('options', value, keys) as DetectOptions;
  const checked = {
    scoreThreshold: checkNumber('scoreThreshold', options.scoreThreshold ?? 0.15, 0, 1),
    maxDetections: checkInteger('maxDetections', options.maxDetections ?? 200, 1, 1e6),
    autoOrient: checkBoolean('autoOrient', options.autoOrient ?? true),
    batchSize: checkInteger('batchSize', options.batchSize ?? 8, 1, 1024),
  };
  checkInteger('maxDetections x batchSize', checked.maxDetections * checked.batchSize, 1, MAX_BATCH_DETECTIONS);
  return checked;
}
