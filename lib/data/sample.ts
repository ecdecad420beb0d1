import type { Box } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';

/** One image with its objects. Boxes are in pixels of the upright image, turned by its EXIF orientation. */
export interface Sample {
  /** The name of the image in messages and reports. */
  id: string;
  imagePath: string;
  /** The width of the upright image in pixels; `height` likewise. */
  width: number;
  height: number;
  objects: GroundTruth[];
  /** True if size and boxes are those of the stored image, without its EXIF orientation. */
  stored?: true;
}

/** An image and its objects for `Dataset.from`. */
export interface SampleInput {
  /** The path of a JPEG, PNG or WebP file. */
  imagePath: string;
  /**
   * The name of the image in messages and reports.
   * @default `imagePath`
   */
  id?: string | undefined;
  /**
   * The width of the upright image in pixels. Give `width` and `height`, or neither.
   * @default read from the header of the image file
   */
  width?: number | undefined;
  height?: number | undefined;
  objects: readonly ObjectInput[];
  /**
   * The file that issues name for the objects.
   * @default `imagePath`
   */
  annotationPath?: string | undefined;
}

/** An annotated object of a `SampleInput`. */
export interface ObjectInput {
  /** The class of the object: one of the data set's classes. */
  label: string;
  /** The box in pixels of the upright image. Parts outside the image are cut off. */
  box: Box;
  /**
   * The flag of Pascal VOC: training uses the object like any other, and the VOC metrics ignore it.
   * @default false
   */
  difficult?: boolean | undefined;
}
