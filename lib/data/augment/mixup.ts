import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import { probability, range } from './kinds.ts';
import { within } from './view.ts';

/** The options of a mixture of two images. */
export const mixupTable = {
  /**
   * The probability of a mixture, 0 to 1.
   * @default 0.5
   */
  p: option(probability(), { default: 0.5, help: 'probability' }),
  /**
   * The range of the second image's share, 0 to 1.
   * @default [0.4, 0.6]
   */
  weightRange: option(range(0, 1), { default: [0.4, 0.6], help: 'share of the second image' }),
};

/** The options of a mixture of two images. */
export interface MixupOptions extends Given<typeof mixupTable> {}

/** The options of a mixture of two images, after the check and with defaults. */
export interface Mixup extends Resolved<typeof mixupTable> {}

/** The share of a second image that is laid over the first, whose objects count like its own; undefined for none. */
export function mixup({ p, weightRange }: Mixup, draw: Draw): number | undefined {
  return draw() < p ? within(weightRange, draw()) : undefined;
}
