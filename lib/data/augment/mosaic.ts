import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import type { Rectangle } from '../../binding.ts';
import type { Size } from '../../boxes/box.ts';
import { probability, range } from './kinds.ts';
import { crop, type View, within } from './view.ts';

/** The options of a mosaic of four images. */
export const mosaicTable = {
  /**
   * The probability of a mosaic, 0 to 1.
   * @default 0.5
   */
  p: option(probability(), { default: 0.5, help: 'probability' }),
  /**
   * The range of the point where the four images meet, relative to the sides of the result.
   * @default [0.25, 0.75]
   */
  centerRange: option(range(0, 1), { default: [0.25, 0.75], help: 'where the four images meet, over the sides' }),
};

/** The options of a mosaic of four images. */
export interface MosaicOptions extends Given<typeof mosaicTable> {}

/** The options of a mosaic of four images, after the check and with defaults. */
export interface Mosaic extends Resolved<typeof mosaicTable> {}

/** Four areas of whole pixels that make up an image of `size`: left and right above, left and right below. */
export function mosaicAreas({ width, height }: Size, { centerRange }: Mosaic, draw: Draw): Rectangle[] {
  const x = Math.min(Math.max(1, Math.round(width * within(centerRange, draw()))), width - 1);
  const y = Math.min(Math.max(1, Math.round(height * within(centerRange, draw()))), height - 1);
  return [
    { x: 0, y: 0, width: x, height: y },
    { x, y: 0, width: width - x, height: y },
    { x: 0, y, width: x, height: height - y },
    { x, y, width: width - x, height: height - y },
  ];
}

/**
 * As much of a view as fills its area of an image of `size` with both sides scaled alike, at a random place. With the view's own size
 * its proportions are kept.
 */
export function fitToArea(view: View, area: Size, size: Size, draw: Draw): View {
  const { window } = view;
  const scale = Math.max(area.width / size.width, area.height / size.height);
  const width = (window.width * area.width) / (size.width * scale);
  const height = (window.height * area.height) / (size.height * scale);
  const x = window.x + (window.width - width) * draw();
  const y = window.y + (window.height - height) * draw();
  return crop(view, { x, y, width, height });
}
