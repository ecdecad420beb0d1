import type { Box } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';

/** One image with its objects. Boxes are in pixels of the image as people see it, upright by its EXIF orientation. */
export interface Sample {
  /** The name of the image in messages and reports. */
  id: string;
  imagePath: string;
  /** Pixels of the upright image. */
  width: number;
  height: number;
  objects: GroundTruth[];
  /** Size and boxes are those of the image as it is stored: its EXIF orientation is not applied. */
  stored?: true;
}

/** An image and its objects as a program of your own has them, for `Dataset.from`. */
export interface SampleInput {
  /** A JPEG, PNG or WebP file. */
  imagePath: string;
  /**
   * The name of the image in messages and reports.
   * @default `imagePath`
   */
  id?: string | undefined;
  /**
   * Pixels of the upright image, both or neither.
   * @default they are read from the header of the image file
   */
  width?: number | undefined;
  height?: number | undefined;
  objects: readonly ObjectInput[];
  /**
   * The file that issues of the objects name.
   * @default `imagePath`
   */
  annotationPath?: string | undefined;
}

/** An annotated object of a `SampleInput`. */
export interface ObjectInput {
  /** One of the classes of the data set. */
  label: string;
  /** In pixels of the upright image. What lies outside the image is cut off. */
  box: Box;
  /**
   * The flag of Pascal VOC: training uses the object like any other, and the VOC metrics ignore it.
   * @default false
   */
  difficult?: boolean | undefined;
}
