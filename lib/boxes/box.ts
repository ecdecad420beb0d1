/** A width and a height, in pixels of an image or in cells of a feature map. */
export interface Size {
  width: number;
  height: number;
}

/** A box by its corners, in pixels of its image. `xmin < xmax`, `ymin < ymax`; coordinates are floating point, and no pixel is added. */
export interface Box {
  xmin: number;
  ymin: number;
  xmax: number;
  ymax: number;
}

/** Intersection over union of two boxes: 0 for boxes apart, 1 for the same box. */
export function boxIou(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin);
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin);
  if (width <= 0 || height <= 0) return 0;
  const area = (box: Box) => (box.xmax - box.xmin) * (box.ymax - box.ymin);
  return (width * height) / (area(a) + area(b) - width * height);
}

/** Mirrors a box left to right, together with its image, which is `width` pixels wide. */
export function flipBox(box: Box, width: number): Box {
  return { xmin: width - box.xmax, ymin: box.ymin, xmax: width - box.xmin, ymax: box.ymax };
}

/** Scales a box together with its image, by `sx` horizontally and `sy` vertically (new size / old size). */
export function scaleBox(box: Box, sx: number, sy: number): Box {
  return { xmin: box.xmin * sx, ymin: box.ymin * sy, xmax: box.xmax * sx, ymax: box.ymax * sy };
}
