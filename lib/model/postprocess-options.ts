import { checkInteger, checkKeys, checkNumber, checkOneOf } from '../base/check.ts';
import { integer, number } from '../base/kinds.ts';
import { type Given, option } from '../base/option.ts';

/**
 * `plain`; `diou`: by distance IoU (Zheng et al. 2020); `weighted`: plain, and a kept box becomes the average, by score, of itself and
 * those that it suppressed.
 */
export const nmsNames = ['plain', 'diou', 'weighted'] as const;
export type NmsName = (typeof nmsNames)[number];

/** Whether the best boxes that go into NMS are chosen per class or per feature map. */
export type TopkPer = 'class' | 'map';

/** From scores to detections. The defaults are those of torchvision's SSD. */
export interface PostprocessOptions {
  /**
   * The score, 0 to 1, that a detection of an evaluation has to exceed. It is low, because average precision weighs every detection by its
   * score: what is left out lowers it. `detect` shows those above `SHOWN_SCORE`.
   * @default 0.01, with the head `retinanet` 0.05
   */
  scoreThreshold: number;
  /** IoU above which NMS drops the lower of two boxes of a class; 0.45. */
  nmsThreshold: number;
  /** Best boxes of each class, or of each map (`topkPer`), that go into NMS; 400. */
  topkCandidates: number;
  /** Best boxes of an image; 200. */
  maxDetections: number;
  /** Default `plain`. */
  nms?: NmsName;
  /** Default `class`, as torchvision's SSD; `map`, all classes together, as its RetinaNet. */
  topkPer?: TopkPer;
}

/** Every field of a postprocess configuration. */
export function checkPostprocess(name: string, value: unknown): PostprocessOptions {
  const keys = ['scoreThreshold', 'nmsThreshold', 'topkCandidates', 'maxDetections', 'nms', 'topkPer'];
  const options = checkKeys(name, value, keys);
  return {
    scoreThreshold: checkNumber(`${name}.scoreThreshold`, options.scoreThreshold, 0, 1),
    nmsThreshold: checkNumber(`${name}.nmsThreshold`, options.nmsThreshold, 0, 1),
    topkCandidates: checkInteger(`${name}.topkCandidates`, options.topkCandidates, 1, 1e6),
    maxDetections: checkInteger(`${name}.maxDetections`, options.maxDetections, 1, 1e6),
    ...(options.nms !== undefined && { nms: checkOneOf(`${name}.nms`, options.nms, nmsNames) }),
    ...(options.topkPer !== undefined && { topkPer: checkOneOf(`${name}.topkPer`, options.topkPer, ['class', 'map']) }),
  };
}

/**
 * The score from which on a detection is shown, as in the article's inference: high, for people who look at images. An evaluation takes
 * `PostprocessOptions.scoreThreshold` instead, 0.01 with SSD and 0.05 with RetinaNet: low, because average precision weighs every
 * detection by its score, and what is left out lowers it.
 */
export const SHOWN_SCORE = 0.15;

/** The options of a detection that images and videos share. */
export const shownTable = {
  /**
   * The score, 0 to 1, that a detection has to exceed. It is higher than that of an evaluation, which needs the doubtful detections too:
   * see `DetectorConfig.postprocess`.
   * @default 0.15
   */
  scoreThreshold: option(number({ max: 1 }), {
    default: SHOWN_SCORE,
    group: 'Detection',
    flags: ['threshold'],
    placeholder: '<score>',
    help: 'show detections above this score',
  }),
  /**
   * The largest number of detections of an image or a frame: the best ones.
   * @default 200
   */
  maxDetections: option(integer({ min: 1, max: 1e6 }), {
    default: 200,
    group: 'Detection',
    help: 'the most detections of an image',
  }),
};

/** What images and videos show of what is found. */
export interface ShownOptions extends Given<typeof shownTable> {}
