import type { Draw } from '../../base/random.ts';
import type { Photometric } from '../../binding.ts';
import { within } from './view.ts';

/** Random changes of brightness, contrast, saturation, hue and the order of channels, as torchvision's RandomPhotometricDistort. */
export interface PhotometricDistort {
  /**
   * The probability of each change, 0 to 1; each is drawn alone.
   * @default 0.5
   */
  p: number;
  /**
   * The range of the factor of brightness.
   * @default 0.875 to 1.125
   */
  brightness: readonly [number, number];
  /**
   * The range of the factor of contrast.
   * @default 0.5 to 1.5
   */
  contrast: readonly [number, number];
  /**
   * The range of the factor of saturation.
   * @default 0.5 to 1.5
   */
  saturation: readonly [number, number];
  /**
   * The range of the shift of hue, in turns of the colour circle.
   * @default -0.05 to 0.05
   */
  hue: readonly [number, number];
}

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
