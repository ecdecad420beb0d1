import { integer, list, number } from '../../base/kinds.ts';
import { type Given, option, type Resolved } from '../../base/option.ts';
import type { Draw } from '../../base/random.ts';
import type { Rectangle } from '../../binding.ts';
import type { Box } from '../../boxes/box.ts';
import { clipBox, crop, hasCentreOf, type View, within } from './view.ts';

/** The options of torchvision's RandomIoUCrop. */
export const iouCropTable = {
  /**
   * The shortest side of the crop, relative to that of the image. Width and height are drawn separately.
   * @default 0.3
   */
  minScale: option(number({ min: 0.01, max: 1 }), {
    default: 0.3,
    help: 'shortest side of the crop over that of the image',
  }),
  /**
   * The longest side of the crop, relative to that of the image.
   * @default 1
   */
  maxScale: option(number({ min: 0.01, max: 1 }), {
    default: 1,
    help: 'longest side of the crop over that of the image',
  }),
  /**
   * The smallest ratio of width to height of the crop, in pixels.
   * @default 0.5
   */
  minAspectRatio: option(number({ min: 0.01, max: 100 }), {
    default: 0.5,
    help: 'least width over height of the crop',
  }),
  /**
   * The largest ratio of width to height of the crop, in pixels.
   * @default 2
   */
  maxAspectRatio: option(number({ min: 0.01, max: 100 }), {
    default: 2,
    help: 'largest width over height of the crop',
  }),
  /**
   * The smallest IoU of the crop with the object that fits it best. One of these values is drawn; 1 means no crop.
   * @default [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1]
   */
  samplerOptions: option(list(number({ max: 1 }), { min: 1, max: 100, of: 'numbers from 0 to 1' }), {
    default: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1],
    help: 'least IoU of the crop with an object, of which one is drawn',
  }),
  /**
   * The number of crops to try for an option before another one is drawn.
   * @default 40
   */
  trials: option(integer({ min: 1, max: 1000 }), {
    default: 40,
    help: 'crops that are tried before another IoU is drawn',
  }),
};

/** The options of torchvision's RandomIoUCrop. */
export interface IouCropOptions extends Given<typeof iouCropTable> {}

/** The options of torchvision's RandomIoUCrop, after the check and with defaults. */
export interface IouCrop extends Resolved<typeof iouCropTable> {}

/** torchvision draws options until one can be met, for ever if none can be. With option 1 among the usual ones, 50 are as good. */
const MAX_OPTIONS = 50;
/** Keeps an image of very many objects, none of which fits, from holding the event loop. */
const MAX_COMPARISONS = 2e6;

/** torchvision's RandomIoUCrop (SSD, section 2.2). A view without objects, or for which no crop is found, stays as it is. */
export function iouCrop(view: View, options: IouCrop, draw: Draw): View {
  const { samplerOptions, trials } = options;
  const count = view.objects.length;
  if (count === 0) return view;
  const rounds = Math.min(MAX_OPTIONS, Math.ceil(MAX_COMPARISONS / (count * trials)));
  for (let round = 0; round < rounds; round++) {
    const minIou = samplerOptions[Math.floor(draw() * samplerOptions.length)]!;
    if (minIou >= 1) return view;
    for (let trial = 0; trial < trials; trial++) {
      const window = drawWindow(view.window, options, draw);
      if (window && fits(window, view, minIou)) return crop(view, window);
    }
  }
  return view;
}

/** A crop of whole pixels inside of `outer`; undefined when its shape is not allowed. */
function drawWindow(outer: Rectangle, options: IouCrop, draw: Draw): Rectangle | undefined {
  const { minScale, maxScale, minAspectRatio, maxAspectRatio } = options;
  const width = Math.floor(outer.width * within([minScale, maxScale], draw()));
  const height = Math.floor(outer.height * within([minScale, maxScale], draw()));
  const ratio = width / height;
  if (width === 0 || height === 0 || ratio < minAspectRatio || ratio > maxAspectRatio) return undefined;
  const x = outer.x + Math.floor((outer.width - width) * draw());
  const y = outer.y + Math.floor((outer.height - height) * draw());
  return { x, y, width, height };
}

/** Whether an object's centre lies in the crop, and one such object has at least this IoU with it. */
function fits(window: Rectangle, { objects }: View, minIou: number): boolean {
  return objects.some(({ box }) => hasCentreOf(window, box) && iou(window, box) >= minIou);
}

function iou(window: Rectangle, box: Box): number {
  const common = area(clipBox(box, window));
  return common / (window.width * window.height + area(box) - common);
}

function area({ xmin, ymin, xmax, ymax }: Box): number {
  return (xmax - xmin) * (ymax - ymin);
}
