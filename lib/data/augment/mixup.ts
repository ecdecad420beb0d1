import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import { probability, range } from './kinds.ts';
import { within } from './view.ts';

/** The options of a mixture of two images. */
export const mixupTable = {
  /**
   * The probability.
   * @default 0.5
   */
  p: option(probability(), { default: 0.5, help: 'probability' }),
  /**
   * The share of the second image.
   * @default [0.4, 0.6]
   */
  weightRange: option(range(0, 1), { default: [0.4, 0.6], help: 'share of the second image' }),
};

/** A mixture of two images, with defaults. */
export interface MixupOptions extends Given<typeof mixupTable> {}

/** A mixture of two images, with all its options. */
export interface Mixup extends Resolved<typeof mixupTable> {}

/** The share of a second image that is laid over the first, whose objects count like its own; undefined for none. */
export function mixup({ p, weightRange }: Mixup, draw: Draw): number | undefined {
  return draw() < p ? within(weightRange, draw()) : undefined;
}
