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
  /** Position of `label` in the class list; 0 is the background, so this is at least 1. */
  labelIndex: number;
  box: Box;
  /** VOC's flag: trained on as any other object, neither rewarded nor punished by the VOC metric. */
  difficult: boolean;
}
