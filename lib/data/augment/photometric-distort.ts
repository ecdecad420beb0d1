import type { Draw } from '../../base/random.ts';
import type { Photometric } from '../../binding.ts';
import { within } from './view.ts';

export interface PhotometricDistort {
  /** Probability of each operation, drawn for each alone. Default 0.5. */
  p: number;
  /** Ranges of factors. Defaults 0.875 to 1.125, 0.5 to 1.5, 0.5 to 1.5. */
  brightness: readonly [number, number];
  contrast: readonly [number, number];
  saturation: readonly [number, number];
  /** In turns of the colour circle. Default -0.05 to 0.05. */
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
