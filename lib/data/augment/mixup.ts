import type { Draw } from '../../base/random.ts';
import { within } from './view.ts';

/** A second image that is laid over the first one half transparently, with its objects. */
export interface Mixup {
  /**
   * The probability, 0 to 1.
   * @default 0.5
   */
  p: number;
  /**
   * The smallest and the largest share of the second image, 0 to 1.
   * @default 0.4 to 0.6
   */
  weightRange: readonly [number, number];
}

/** The share of a second image that is laid over the first, whose objects count like its own; undefined for none. */
export function mixup({ p, weightRange }: Mixup, draw: Draw): number | undefined {
  return draw() < p ? within(weightRange, draw()) : undefined;
}
