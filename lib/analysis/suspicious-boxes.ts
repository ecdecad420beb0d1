import type { Box, Size } from '../boxes/box.ts';
import { boxIou } from '../boxes/box.ts';
import { filledArea } from '../boxes/letterbox.ts';
import type { Sample } from '../data/dataset.ts';
import type { DetectorConfig } from '../model/config.ts';

/** The model's input, as far as boxes depend on it. */
type Model = Pick<DetectorConfig, 'imageSize'> & { resize?: DetectorConfig['resize'] | undefined };

/** The reason why a box is suspicious. */
export type SuspiciousKind = 'tiny' | 'whole-image' | 'extreme-aspect' | 'duplicate';

/** A box that may be right, but is often an annotation mistake. */
export interface SuspiciousBox {
  kind: SuspiciousKind;
  /** The id of the image. */
  image: string;
  label: string;
  /** The box in pixels of the image. */
  box: Box;
  /** A description of the problem. */
  message: string;
}

/**
 * The side of a tiny box in pixels at the size that the model sees. The finest feature map of every backbone here has cells of four pixels.
 */
const TINY_SIDE = 4;
const WHOLE_AREA = 0.95;
/** The ratio of the longer side to the shorter side, in pixels of the image. */
const EXTREME_ASPECT = 8;
const DUPLICATE_IOU = 0.95;

/** Finds the boxes of all images that a person should check. */
export function* findSuspiciousBoxes(samples: readonly Sample[], model: Model): Generator<void, SuspiciousBox[]> {
  const found: SuspiciousBox[] = [];
  for (const sample of samples) {
    for (const [i, { label, box }] of sample.objects.entries()) {
      const report = (kind: SuspiciousKind, message: string) =>
        found.push({ kind, image: sample.id, label, box, message });
      for (const [kind, message] of examineShape(box, sample, model)) report(kind, message);
      const twin = sample.objects.slice(0, i).find((other) => boxIou(other.box, box) >= DUPLICATE_IOU);
      if (twin) report('duplicate', `nearly the box of another object, ${twin.label}`);
      yield;
    }
  }
  return found;
}

function* examineShape(box: Box, image: Size, { imageSize, resize }: Model): Generator<[SuspiciousKind, string]> {
  const [width, height] = [box.xmax - box.xmin, box.ymax - box.ymin];
  const area = filledArea(image, imageSize, resize);
  const [seenWidth, seenHeight] = [(width / image.width) * area.width, (height / image.height) * area.height];
  if (Math.min(seenWidth, seenHeight) < TINY_SIDE) {
    yield ['tiny', `${seenWidth.toFixed(1)} x ${seenHeight.toFixed(1)} pixels for the model`];
  }
  const share = (width * height) / (image.width * image.height);
  if (share >= WHOLE_AREA) yield ['whole-image', `${(100 * share).toFixed(1)} % of the image`];
  const aspect = Math.max(width / height, height / width);
  if (aspect >= EXTREME_ASPECT) {
    yield ['extreme-aspect', `${aspect.toFixed(1)} times as ${width > height ? 'wide as high' : 'high as wide'}`];
  }
}
