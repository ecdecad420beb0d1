import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import { probability, range } from './kinds.ts';
import { type View, within } from './view.ts';

/** The options of torchvision's RandomZoomOut. */
export const zoomOutTable = {
  /**
   * The probability of zooming out, 0 to 1.
   * @default 0.5
   */
  p: option(probability(), { default: 0.5, help: 'probability' }),
  /**
   * The range of the new side relative to the old side, the same for both sides.
   * @default [1, 4]
   */
  sideRange: option(range(1, 100), { default: [1, 4], help: 'new side over the old one' }),
};

/** The options of torchvision's RandomZoomOut. */
export interface ZoomOutOptions extends Given<typeof zoomOutTable> {}

/** The options of torchvision's RandomZoomOut, after the check and with defaults. */
export interface ZoomOut extends Resolved<typeof zoomOutTable> {}

/** torchvision's RandomZoomOut (SSD's "expand"): the image somewhere on a larger canvas of the fill colour. */
export function zoomOut(view: View, { p, sideRange }: ZoomOut, draw: Draw): View {
  if (draw() >= p) return view;
  const { window, objects } = view;
  const side = within(sideRange, draw());
  const [width, height] = [Math.floor(window.width * side), Math.floor(window.height * side)];
  const x = window.x - Math.floor((width - window.width) * draw());
  const y = window.y - Math.floor((height - window.height) * draw());
  return { window: { x, y, width, height }, objects };
}
