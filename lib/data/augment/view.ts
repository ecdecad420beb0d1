import type { Rectangle } from '../../binding.ts';
import type { Box } from '../../boxes/box.ts';
import type { GroundTruth } from '../../boxes/detection.ts';

/**
 * A sample on its way through the geometric transforms, each a function from view to view: what of the image is to be seen, and
 * the objects there. Everything is in pixels of the image as it is stored; the window may reach beyond it.
 */
export interface View {
  window: Rectangle;
  objects: readonly GroundTruth[];
}

/** The whole of an image. */
export function wholeView({ width, height, objects }: Omit<View, 'window'> & { width: number; height: number }): View {
  return { window: { x: 0, y: 0, width, height }, objects };
}

/** torchvision's rule: an object stays when its centre lies inside the new window, and is clipped to it. */
export function crop({ objects }: View, window: Rectangle): View {
  const kept = objects.filter(({ box }) => hasCentreOf(window, box));
  return { window, objects: kept.map((object) => ({ ...object, box: clipBox(object.box, window) })) };
}

/** Whether the centre of a box lies inside a rectangle, its border excluded. */
export function hasCentreOf({ x, y, width, height }: Rectangle, box: Box): boolean {
  const [cx, cy] = [(box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2];
  return x < cx && cx < x + width && y < cy && cy < y + height;
}

/** The part of a box that lies in a rectangle; empty or inverted when none does. */
export function clipBox(box: Box, { x, y, width, height }: Rectangle): Box {
  return {
    xmin: Math.max(box.xmin, x),
    ymin: Math.max(box.ymin, y),
    xmax: Math.min(box.xmax, x + width),
    ymax: Math.min(box.ymax, y + height),
  };
}

/** A number between the ends of a range, by a drawn one. */
export function within([from, to]: readonly [number, number], drawn: number): number {
  return from + (to - from) * drawn;
}
