import { checkInteger, checkKeys, checkNumber, checkOneOf } from '../base/check.ts';
import { integer, number } from '../base/kinds.ts';
import { type Given, option } from '../base/option.ts';

/**
 * The NMS methods. `plain` keeps the best box. `diou` uses distance IoU (Zheng et al. 2020). `weighted` also averages a kept box, by score,
 * with the boxes that it suppressed.
 */
export const nmsNames = ['plain', 'diou', 'weighted'] as const;
export type NmsName = (typeof nmsNames)[number];

/** The group whose best boxes go into NMS: each class or each feature map. */
export type TopkPer = 'class' | 'map';

/** The limits that turn scores into detections. The defaults are those of torchvision's SSD. */
export interface PostprocessOptions {
  /**
   * The score, 0 to 1, that a detection of an evaluation has to exceed. It is low, because average precision weighs every detection by its
   * score, and a missing one lowers it. `detect` shows only detections above `SHOWN_SCORE`.
   * @default 0.01, with the head `retinanet` 0.05
   */
  scoreThreshold: number;
  /**
   * The IoU above which NMS drops the lower of two boxes of a class.
   * @default 0.45
   */
  nmsThreshold: number;
  /**
   * The number of best boxes of each class, or of each map (`topkPer`), that go into NMS.
   * @default 400
   */
  topkCandidates: number;
  /**
   * The largest number of boxes per image.
   * @default 200
   */
  maxDetections: number;
  /**
   * The NMS method.
   * @default 'plain'
   */
  nms?: NmsName;
  /**
   * The group of `topkCandidates`. `class` is torchvision's SSD. `map`, all classes together, is its RetinaNet.
   * @default 'class'
   */
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
 * A sentence where more detections are asked for than can come out of NMS, because `topkCandidates` limits what goes in; undefined where
 * nothing is cut.
 */
export function noticeOfCut(
  maxDetections: number,
  { topkCandidates, topkPer = 'class' }: Pick<PostprocessOptions, 'topkCandidates' | 'topkPer'>,
  { classes, maps }: { classes: number; maps: number },
): string | undefined {
  const groups = topkPer === 'class' ? classes : maps;
  const most = topkCandidates * groups;
  if (maxDetections <= most) return undefined;
  return `maxDetections (--max-detections) is ${maxDetections}, but an image has at most ${most}: the model lets the best ${topkCandidates} boxes of each ${topkPer} into NMS (topkCandidates), and has ${groups}. Ask for at most ${most}`;
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
   * The score, 0 to 1, that a detection has to exceed. An evaluation uses a lower one, because it needs doubtful detections: see
   * `DetectorConfig.postprocess`.
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
   * The largest number of detections per image or frame: the best ones. `topkCandidates` of the model limits how many boxes of each class
   * go into NMS, and there are never more.
   * @default 200
   */
  maxDetections: option(integer({ min: 1, max: 1e6 }), {
    default: 200,
    group: 'Detection',
    help: 'the most detections of an image',
  }),
};

/** The options of detection for images and videos. */
export interface ShownOptions extends Given<typeof shownTable> {}
