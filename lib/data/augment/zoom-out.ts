import type { Draw } from '../../base/random.ts';
import { type View, within } from './view.ts';

/** A larger canvas of the fill colour with the image somewhere on it, as torchvision's RandomZoomOut. */
export interface ZoomOut {
  /**
   * The probability, 0 to 1.
   * @default 0.5
   */
  p: number;
  /**
   * The range of the new side over the old one; it is the same for both sides.
   * @default 1 to 4
   */
  sideRange: readonly [number, number];
}

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
