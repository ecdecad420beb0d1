import type { Box } from './detection.ts';

/** Intersection over union of two boxes: 0 for boxes apart, 1 for the same box. */
export function boxIou(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin);
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin);
  if (width <= 0 || height <= 0) return 0;
  const area = (box: Box) => (box.xmax - box.xmin) * (box.ymax - box.ymin);
  return (width * height) / (area(a) + area(b) - width * height);
}
