import type { Box } from '../boxes/box.ts';

const NOWHERE: Box = { xmin: Number.NaN, ymin: Number.NaN, xmax: Number.NaN, ymax: Number.NaN };

/** The smallest box around points, given as x, y, x, y and so on; NaN where one of them is no number or there are none. */
export function boxAround(points: readonly unknown[]): Box {
  if (points.length < 2 || points.length % 2 !== 0) return NOWHERE;
  const box = { xmin: Infinity, ymin: Infinity, xmax: -Infinity, ymax: -Infinity };
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [points[i], points[i + 1]];
    if (typeof x !== 'number' || typeof y !== 'number' || Number.isNaN(x + y)) return NOWHERE;
    box.xmin = Math.min(box.xmin, x);
    box.xmax = Math.max(box.xmax, x);
    box.ymin = Math.min(box.ymin, y);
    box.ymax = Math.max(box.ymax, y);
  }
  return box;
}

/** The box around a box that is turned by so many degrees, clockwise as images have it, about a point of it. */
export function boxAroundTurned(
  { xmin, ymin, xmax, ymax }: Box,
  degrees: number,
  pivot: { x: number; y: number },
): Box {
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  const turn = (x: number, y: number) => [
    pivot.x + (x - pivot.x) * cos - (y - pivot.y) * sin,
    pivot.y + (x - pivot.x) * sin + (y - pivot.y) * cos,
  ];
  return boxAround([...turn(xmin, ymin), ...turn(xmax, ymin), ...turn(xmax, ymax), ...turn(xmin, ymax)]);
}

/** In pixels of an image instead of in parts of it. */
export function scaleToImage({ xmin, ymin, xmax, ymax }: Box, width: number, height: number): Box {
  return { xmin: xmin * width, ymin: ymin * height, xmax: xmax * width, ymax: ymax * height };
}
