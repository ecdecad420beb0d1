import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import type { Photometric } from '../../binding.ts';
import { probability, range } from './kinds.ts';
import { within } from './view.ts';

/** The options of torchvision's RandomPhotometricDistort. */
export const photometricDistortTable = {
  /**
   * The probability of each operation, 0 to 1. Each is drawn separately.
   * @default 0.5
   */
  p: option(probability(), { default: 0.5, help: 'probability of each operation' }),
  /**
   * The range of the brightness factor.
   * @default [0.875, 1.125]
   */
  brightness: option(range(0, 100), { default: [0.875, 1.125], help: 'factors of brightness' }),
  /**
   * The range of the contrast factor.
   * @default [0.5, 1.5]
   */
  contrast: option(range(0, 100), { default: [0.5, 1.5], help: 'factors of contrast' }),
  /**
   * The range of the saturation factor.
   * @default [0.5, 1.5]
   */
  saturation: option(range(0, 100), { default: [0.5, 1.5], help: 'factors of saturation' }),
  /**
   * The range of the hue shift, in turns of the colour circle.
   * @default [-0.05, 0.05]
   */
  hue: option(range(-0.5, 0.5), { default: [-0.05, 0.05], help: 'turns of the colour circle' }),
};

/** The options of torchvision's RandomPhotometricDistort. */
export interface PhotometricDistortOptions extends Given<typeof photometricDistortTable> {}

/** The options of torchvision's RandomPhotometricDistort, after the check and with defaults. */
export interface PhotometricDistort extends Resolved<typeof photometricDistortTable> {}

const PERMUTATIONS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

/** The choices of torchvision's RandomPhotometricDistort; the pixels follow in the addon. */
export function photometricDistort({ p, ...ranges }: PhotometricDistort, draw: Draw): Photometric {
  const choose = (range: readonly [number, number], neutral: number) => {
    const [applied, drawn] = [draw() < p, draw()];
    return applied ? within(range, drawn) : neutral;
  };
  const brightness = choose(ranges.brightness, 1);
  const contrast = choose(ranges.contrast, 1);
  const saturation = choose(ranges.saturation, 1);
  const hue = choose(ranges.hue, 0);
  const contrastFirst = draw() < 0.5;
  const [permuted, drawn] = [draw() < p, draw()];
  const channels = permuted ? PERMUTATIONS[Math.floor(drawn * PERMUTATIONS.length)]! : PERMUTATIONS[0]!;
  return { brightness, contrast, saturation, hue, contrastFirst, channels };
}
