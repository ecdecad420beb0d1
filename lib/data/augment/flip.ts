import { PURPOSE, random } from '../../base/random.ts';
import type { Box } from '../../boxes/detection.ts';

/** The box after the image, `width` pixels wide, was mirrored left to right. */
export function flipBox(box: Box, width: number): Box {
  return { xmin: width - box.xmax, ymin: box.ymin, xmax: width - box.xmin, ymax: box.ymax };
}

/** The box after the image was resized by `sx` horizontally and `sy` vertically (new size / old size). */
export function scaleBox(box: Box, sx: number, sy: number): Box {
  return { xmin: box.xmin * sx, ymin: box.ymin * sy, xmax: box.xmax * sx, ymax: box.ymax * sy };
}

/** Whether a sample is mirrored in an epoch: true with `probability` (0 never, 1 always), the same answer in every run. */
export function decideFlip(seed: number, epoch: number, sampleIndex: number, probability: number): boolean {
  return random(seed, epoch, sampleIndex, PURPOSE.flip) < probability;
}
