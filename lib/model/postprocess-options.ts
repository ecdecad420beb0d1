import { checkInteger, checkKeys, checkNumber, checkOneOf } from '../base/check.ts';

/**
 * `plain`; `diou`: by distance IoU (Zheng et al. 2020); `weighted`: plain, and a kept box becomes the average, by score, of itself and
 * those that it suppressed.
 */
export const nmsNames = ['plain', 'diou', 'weighted'] as const;
export type NmsName = (typeof nmsNames)[number];

/** Whether the best boxes that go into NMS are chosen per class or per feature map. */
export type TopkPer = 'class' | 'map';

/** From scores to detections, as torchvision's SSD; its defaults are in the comments. */
export interface PostprocessOptions {
  /** To be exceeded, 0 to 1; 0.01. */
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
