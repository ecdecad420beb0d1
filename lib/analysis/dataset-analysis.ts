import type { Size } from '../boxes/box.ts';
import type { ResizeName } from '../boxes/letterbox.ts';
import type { DatasetIssue } from '../data/dataset-issue.ts';
import type { BoxOptions } from '../model/default-box-options.ts';
import type { Coverage } from './default-boxes/coverage.ts';
import type { Shape } from './default-boxes/k-means.ts';
import type { Distribution } from './distribution.ts';
import type { SuspiciousBox } from './suspicious-boxes.ts';

/** The number of objects and images of a class. */
export interface ClassCount {
  label: string;
  /** The number of objects, difficult ones included. */
  objects: number;
  /** The number of images with at least one object of the class. */
  images: number;
  /** The number of objects with VOC's flag `difficult`. */
  difficult: number;
}

/** Default boxes on a model's feature maps, and how they fit the objects. */
export interface DefaultBoxFit {
  defaultBoxes: BoxOptions;
  coverage: Coverage;
}

/** The result of `analyzeDataset` as plain JSON. A `Distribution` is null if there is nothing to count. */
export interface DatasetAnalysis {
  images: number;
  objects: number;
  /** The counts in the order of the class list, classes without objects included. */
  classes: ClassCount[];
  objectsPerImage: Distribution | null;
  /** The ids of the images without a usable object. */
  imagesWithoutObjects: string[];
  /** The widths of the boxes relative to the image; `height`: their heights; `side`: sqrt(width * height). */
  width: Distribution | null;
  height: Distribution | null;
  side: Distribution | null;
  /** The aspect ratio: relative width / relative height, as in default boxes. 1 is a box with the image's own shape. */
  aspectRatio: Distribution | null;
  /** Relative width and height of up to 500 boxes, spread over the whole data set. */
  shapes: Shape[];
  /** The number of box centres in 10 x 10 equal parts of the image, as `[row][column]`. */
  positions: number[][];
  /** Groups of image ids whose files have the same bytes. */
  duplicateImages: string[][];
  suspiciousBoxes: SuspiciousBox[];
  /** The problems that reading the data set skipped or repaired. `box-clipped` and `box-outside` are boxes beyond the image. */
  issues: readonly DatasetIssue[];
  imageSize: Size;
  /** How images are brought to that size; left out for `stretch`. */
  resize?: ResizeName;
  maps: readonly Size[];
  configured: DefaultBoxFit;
  /** The default boxes that k-means proposes. They are the configured ones if none is better, and for the points of the head `dense`. */
  proposed: DefaultBoxFit;
  /** Sentences about what to mend before you train the configured model on this data. */
  warnings: string[];
}
