import { type Draw, PURPOSE, type StreamKey, stream } from '../../base/random.ts';
import type { Placement, Rectangle } from '../../binding.ts';
import type { Box, Size } from '../../boxes/box.ts';
import { flipBox } from '../../boxes/box.ts';
import type { GroundTruth } from '../../boxes/detection.ts';
import { filledArea, type ResizeName } from '../../boxes/letterbox.ts';
import { iouCrop } from './iou-crop.ts';
import { mixup } from './mixup.ts';
import { fitToArea, mosaicAreas } from './mosaic.ts';
import type { Augmentation } from './options.ts';
import { photometricDistort } from './photometric-distort.ts';
import { scaleJitter } from './scale-jitter.ts';
import { clipBox, type View, wholeView } from './view.ts';
import { zoomOut } from './zoom-out.ts';

/** What a plan asks of a data set's samples. */
export interface PlannedSample extends Size {
  objects: readonly GroundTruth[];
}

/** One image of an augmented sample, plain data: whose it is, how it lies there, and the objects that it brings. */
export interface PlannedLayer extends Placement {
  /** Its index in the data set. */
  sample: number;
  flip: boolean;
  /** In pixels of the batch, each inside of the layer's area and at least a pixel wide and high. */
  objects: GroundTruth[];
}

export interface PlanOptions {
  augmentation: Augmentation;
  flipProbability: number;
  /** Of the images of the batch. */
  size: Size;
  /** How a view is brought to its area; default `stretch`. */
  resize?: ResizeName | undefined;
}

/** A smaller box, in pixels of the batch, stands for nothing that can be seen. */
const MIN_BOX_SIDE = 1;

/**
 * How a sample looks in an epoch: a function of its arguments alone, whatever is loaded before or beside it. The first layer is of
 * the sample itself. A sample may lose all of its objects, and then shows background.
 */
export function planSample(
  samples: readonly PlannedSample[],
  { seed, epoch, sample }: Omit<StreamKey, 'part'>,
  options: PlanOptions,
): PlannedLayer[] {
  const { augmentation, size } = options;
  const layer = (index: number, part: number, area: Rectangle, draw?: Draw) =>
    planLayer({ ...samples[index]!, sample: index }, { seed, epoch, sample, part }, { ...options, area, draw });
  const whole = { x: 0, y: 0, ...size };
  const another = (draw: Draw) => Math.floor(draw() * samples.length);

  const layers: PlannedLayer[] = [];
  const draw = stream({ seed, epoch, sample, part: 0 }, PURPOSE.mosaic);
  if (augmentation.mosaic && draw() < augmentation.mosaic.p) {
    for (const [part, area] of mosaicAreas(size, augmentation.mosaic, draw).entries()) {
      layers.push(layer(part === 0 ? sample : another(draw), part, area, draw));
    }
  } else {
    layers.push(layer(sample, 0, whole));
  }
  const drawMixup = stream({ seed, epoch, sample, part: 0 }, PURPOSE.mixup);
  const weight = augmentation.mixup && mixup(augmentation.mixup, drawMixup);
  if (weight !== undefined) layers.push({ ...layer(another(drawMixup), 4, whole), weight });
  return layers;
}

/** The transforms of one image; in a mosaic its area is but a part of the result, and `draw` chooses what of it is shown there. */
function planLayer(
  image: PlannedSample & { sample: number },
  key: StreamKey,
  {
    augmentation,
    flipProbability,
    size,
    resize,
    area: whole,
    draw,
  }: PlanOptions & { area: Rectangle; draw: Draw | undefined },
): PlannedLayer {
  let view: View = wholeView(image);
  if (augmentation.zoomOut) view = zoomOut(view, augmentation.zoomOut, stream(key, PURPOSE.zoomOut));
  if (augmentation.scaleJitter) view = scaleJitter(view, augmentation.scaleJitter, stream(key, PURPOSE.scaleJitter));
  if (augmentation.iouCrop) view = iouCrop(view, augmentation.iouCrop, stream(key, PURPOSE.iouCrop));
  if (draw) view = fitToArea(view, whole, resize === 'letterbox' ? view.window : size, draw);
  const area = { ...whole, ...filledArea(view.window, whole, resize) };
  const flip = stream(key, PURPOSE.flip)() < flipProbability;
  const { photometricDistort: colours } = augmentation;
  return {
    sample: image.sample,
    window: view.window,
    area,
    flip,
    weight: 1,
    ...(colours && { photometric: photometricDistort(colours, stream(key, PURPOSE.photometricDistort)) }),
    objects: placeObjects(view, area, flip),
  };
}

function placeObjects({ window, objects }: View, area: Rectangle, flip: boolean): GroundTruth[] {
  return objects
    .map((object) => ({ ...object, box: clipBox(placeBox(object.box, window, area, flip), area) }))
    .filter(({ box }) => box.xmax - box.xmin >= MIN_BOX_SIDE && box.ymax - box.ymin >= MIN_BOX_SIDE);
}

/** From pixels of the image to pixels of the batch. */
function placeBox(box: Box, window: Rectangle, area: Rectangle, flip: boolean): Box {
  const [sx, sy] = [area.width / window.width, area.height / window.height];
  const inArea = {
    xmin: (box.xmin - window.x) * sx,
    ymin: (box.ymin - window.y) * sy,
    xmax: (box.xmax - window.x) * sx,
    ymax: (box.ymax - window.y) * sy,
  };
  const { xmin, ymin, xmax, ymax } = flip ? flipBox(inArea, area.width) : inArea;
  return { xmin: xmin + area.x, ymin: ymin + area.y, xmax: xmax + area.x, ymax: ymax + area.y };
}
