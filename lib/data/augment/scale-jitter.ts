import type { Draw } from '../../base/random.ts';
import { crop, type View, within } from './view.ts';

/** A random change of the scale, with a crop or a border of the fill colour: torchvision's ScaleJitter and FixedSizeCrop. */
export interface ScaleJitter {
  /**
   * The probability, 0 to 1.
   * @default 1
   */
  p: number;
  /**
   * The range of the factor by which objects become larger. Below 1 the image lies on a canvas of the fill colour.
   * @default 0.1 to 2
   */
  scaleRange: readonly [number, number];
}

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
