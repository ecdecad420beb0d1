import type { Draw } from '../../base/random.ts';
import { within } from './view.ts';

export interface Mixup {
  /** Probability. Default 0.5. */
  p: number;
  /** Share of the second image. Default 0.4 to 0.6. */
  weightRange: readonly [number, number];
}

/** The share of a second image that is laid over the first, whose objects count like its own; undefined for none. */
export function mixup({ p, weightRange }: Mixup, draw: Draw): number | undefined {
  return draw() < p ? within(weightRange, draw()) : undefined;
}
