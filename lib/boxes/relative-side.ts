/**
 * Ranges of object sizes. The size is the side of a square with the object's area, relative to the image: 1 fills the image. Each range
 * begins where the previous one ends.
 */
export const sideRanges: readonly { name: string; from: number; to: number }[] = [
  { name: 'side < 0.05', from: 0, to: 0.05 },
  { name: 'side 0.05 - 0.1', from: 0.05, to: 0.1 },
  { name: 'side 0.1 - 0.2', from: 0.1, to: 0.2 },
  { name: 'side 0.2 - 0.4', from: 0.2, to: 0.4 },
  { name: 'side 0.4 - 0.8', from: 0.4, to: 0.8 },
  { name: 'side >= 0.8', from: 0.8, to: 1 },
];

/** The width and height of an object, relative to its image. */
export function relativeSide({ width, height }: { width: number; height: number }): number {
  return Math.sqrt(width * height);
}

/** The index of the range that contains a side. */
export function sideIndex(side: number): number {
  const index = sideRanges.findIndex(({ to }) => side < to);
  return index < 0 ? sideRanges.length - 1 : index;
}
