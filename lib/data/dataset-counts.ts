/** What became of every file that an opening came across, an image and its annotation together being one. */
export interface DatasetCounts {
  /** `used + background + skipped + ignored`. */
  seen: number;
  /** Images with objects. */
  used: number;
  /** Images that are labelled and show no object. */
  background: number;
  /** Images, and annotations without an image, that could not be used; each has an issue. */
  skipped: number;
  /** Files that do not belong to what was opened. */
  ignored: number;
  /** The ignored ones by the reason. */
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
