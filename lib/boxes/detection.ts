import type { Box } from './box.ts';

/** One detected object: its class name, a score from 0 to 1, and its box in pixels of the original image. */
export interface Detection {
  label: string;
  score: number;
  box: Box;
}

/** One annotated object of a data set. */
export interface GroundTruth {
  label: string;
  /** The position of `label` in the class list, from 1: label 0 of a model is the background. */
  labelIndex: number;
  box: Box;
  /** VOC's flag: trained on as any other object, neither rewarded nor punished by the VOC metric. */
  difficult: boolean;
}
