import type { Draw } from '../../base/random.ts';
import { within } from './view.ts';

export interface Mixup {
  /** Probability. Default .5. */
  p: number;
  /** Share of the second picture. Default .4 to .6. */
  weightRange: readonly [number, number];
}

/** The share of a second picture that is laid over the first, whose objects count like its own; undefined for none. */
export function mixup({ p, weightRange }: Mixup, draw: Draw): number | undefined {
  return draw() < p ? within(weightRange, draw()) : undefined;
}
