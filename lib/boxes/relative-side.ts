/**
 * Sizes of objects, by the side of a square of the same area in parts of the image's: 1 fills the image. Each range begins where
 * the one before it ends.
 */
export const sideRanges: readonly { name: string; from: number; to: number }[] = [
  { name: 'side < 0.05', from: 0, to: 0.05 },
  { name: 'side 0.05 - 0.1', from: 0.05, to: 0.1 },
  { name: 'side 0.1 - 0.2', from: 0.1, to: 0.2 },
  { name: 'side 0.2 - 0.4', from: 0.2, to: 0.4 },
  { name: 'side 0.4 - 0.8', from: 0.4, to: 0.8 },
  { name: 'side >= 0.8', from: 0.8, to: 1 },
];

/** Width and height in parts of the image's. */
export function relativeSide({ width, height }: { width: number; height: number }): number {
  return Math.sqrt(width * height);
}

/** Which of the ranges a side belongs to. */
export function sideIndex(side: number): number {
  const index = sideRanges.findIndex(({ to }) => side < to);
  return index < 0 ? sideRanges.length - 1 : index;
}
