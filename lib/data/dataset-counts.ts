/** The outcome of every file that was seen. An image and its annotation together count as one. */
export interface DatasetCounts {
  /** The sum `used + background + skipped + ignored`. */
  seen: number;
  /** The number of images with objects. */
  used: number;
  /** The number of labelled images without objects. */
  background: number;
  /** The number of images, and of annotations without an image, that could not be used. Each has an issue. */
  skipped: number;
  /** The number of files that do not belong to the data set. */
  ignored: number;
  /** The number of ignored files by reason. */
  ignoredBecause: Record<string, number>;
}

/** "12 files seen: 8 images used, 1 without objects, 2 skipped, 1 ignored (1 image that no annotation names)" */
export function formatCounts({ seen, used, background, skipped, ignored, ignoredBecause }: DatasetCounts): string {
  const reasons = Object.entries(ignoredBecause).map(([reason, count]) => `${count} ${reason}`);
  const parts = [
    `${used} images used`,
    `${background} without objects`,
    `${skipped} skipped`,
    `${ignored} ignored${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`,
  ];
  return `${seen} files seen: ${parts.join(', ')}`;
}
