import type { BackboneName } from '../../../lib/model/config.ts';

/** One training, in a process of its own. */
export interface RunTask {
  recipe: string;
  seed: number;
  /** The data set file; it must name a test split. */
  config: string;
  backbone: BackboneName;
  imageSize: { width: number; height: number };
  epochs: number;
  threads: number;
  /** Where its run directory goes. */
  folder: string;
}

/** Scores are of the test split, 0 to 1; -1 where there is no object. */
export interface RunResult {
  recipe: string;
  seed: number;
  /** Seen in training. */
  images: number;
  /** Of the training steps alone, without waiting for data, evaluation and saving. */
  imagesPerSecond: number;
  /** Of the whole training. */
  minutes: number;
  ap: number;
  ap50: number;
  /** Results of earlier versions have none. */
  ap75?: number;
  /** Of a detector that is made end to end: what its first branch finds, with NMS. */
  withNms?: { ap: number; ap50: number; ap75: number };
  classes: { name: string; ap: number; ap50: number }[];
  sizes: { name: string; ap50: number }[];
}
