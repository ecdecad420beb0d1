import type { Box } from './box.ts';

/** A detected object: its class name, a score from 0 to 1, and its box in pixels of the original image. */
export interface Detection {
  label: string;
  score: number;
  box: Box;
}

/** An annotated object of a data set. */
export interface GroundTruth {
  label: string;
  /** The position of `label` in the class list, from 1. Label 0 of a model is the background. */
  labelIndex: number;
  box: Box;
  /** The `difficult` flag of VOC. Training treats the object like any other, and the VOC metric ignores it. */
  difficult: boolean;
}
