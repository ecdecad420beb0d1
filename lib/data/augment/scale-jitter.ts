import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import { probability, range } from './kinds.ts';
import { crop, type View, within } from './view.ts';

/** The options of torchvision's ScaleJitter. */
export const scaleJitterTable = {
  /**
   * The probability of a new scale, 0 to 1.
   * @default 1
   */
  p: option(probability(), { default: 1, help: 'probability' }),
  /**
   * The range of the scale factor. Below 1 the image lies on a canvas of the fill colour.
   * @default [0.1, 2]
   */
  scaleRange: option(range(0.01, 100), { default: [0.1, 2], help: 'how much larger things become' }),
};

/** The options of torchvision's ScaleJitter. */
export interface ScaleJitterOptions extends Given<typeof scaleJitterTable> {}

/** The options of torchvision's ScaleJitter, after the check and with defaults. */
export interface ScaleJitter extends Resolved<typeof scaleJitterTable> {}

/**
 * torchvision's ScaleJitter with the FixedSizeCrop after it (large scale jitter, https://arxiv.org/abs/2012.07177): the image
 * is enlarged and a part of it shown, or made smaller and padded; here the place is random in both.
 */
export function scaleJitter(view: View, { p, scaleRange }: ScaleJitter, draw: Draw): View {
  if (draw() >= p) return view;
  const { window } = view;
  const scale = within(scaleRange, draw());
  const width = Math.max(1, Math.floor(window.width / scale));
  const height = Math.max(1, Math.floor(window.height / scale));
  const x = window.x + Math.floor((window.width - width) * draw());
  const y = window.y + Math.floor((window.height - height) * draw());
  return crop(view, { x, y, width, height });
}
