/** What protects against files that are made to do harm. Real files stay far below; each limit may be raised. */
export interface AnnotationLimits {
  /**
   * Bytes of one annotation: of a file for one image, or of one image in a file for many.
   * @default 67108864 (64 MiB)
   */
  maxAnnotationBytes: number;
  /**
   * Objects in one image.
   * @default 100000
   */
  maxObjects: number;
}

export const defaultLimits: AnnotationLimits = { maxAnnotationBytes: 64 * 1024 ** 2, maxObjects: 100_000 };
