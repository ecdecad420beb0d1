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

/** JavaScript has no longer text. */
export const MAX_ANNOTATION_BYTES = 512 * 1024 ** 2 - 24;

/** What to do about a longer annotation. */
export const raiseBytes = '. Raise maxAnnotationBytes (--max-annotation-bytes) if that is right';

/** What to do about more objects. */
export const raiseObjects = '. Raise maxObjects (--max-objects) if that is right';
