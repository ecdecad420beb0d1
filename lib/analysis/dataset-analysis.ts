import type { Size } from '../boxes/box.ts';
import type { DatasetIssue } from '../data/dataset-issue.ts';
import type { BoxOptions } from '../model/default-box-options.ts';
import type { Coverage } from './default-boxes/coverage.ts';
import type { Shape } from './default-boxes/k-means.ts';
import type { Distribution } from './distribution.ts';
import type { SuspiciousBox } from './suspicious-boxes.ts';

/** How often a class is in a data set. */
export interface ClassCount {
  label: string;
  /** All of them, the difficult ones too. */
  objects: number;
  /** Images with at least one. */
  images: number;
  /** Objects with VOC's flag `difficult`. */
  difficult: number;
}

/** Default boxes on a model's feature maps, and how they fit the objects. */
export interface DefaultBoxFit {
  defaultBoxes: BoxOptions;
  coverage: Coverage;
}

/** What `analyzeDataset` found: plain JSON. A `Distribution` is null when there is nothing to count. */
export interface DatasetAnalysis {
  images: number;
  objects: number;
  /** In the order of the class list; classes without objects too. */
  classes: ClassCount[];
  objectsPerImage: Distribution | null;
  /** Ids of the images without a usable object. */
  imagesWithoutObjects: string[];
  /** Of the boxes, in parts of the image: its width, its height, and sqrt(width * height). */
  width: Distribution | null;
  height: Distribution | null;
  side: Distribution | null;
  /** Width / height of those parts, as default boxes have it: 1 is a box of the image's own shape. */
  aspectRatio: Distribution | null;
  /** Width and height of up to 500 boxes from all over the data set, in parts of the image. */
  shapes: Shape[];
  /** Centres of the boxes: `[row][column]` of 10 x 10 equal parts of the image. */
  positions: number[][];
  /** Ids of images whose files are the same, byte for byte. */
  duplicateImages: string[][];
  suspiciousBoxes: SuspiciousBox[];
  /** What the data set had to skip or repair; boxes beyond the image are `box-clipped` and `box-outside`. */
  issues: readonly DatasetIssue[];
  imageSize: Size;
  maps: readonly Size[];
  configured: DefaultBoxFit;
  /** From k-means; the configured default boxes where nothing better was found, and the points of the head `dense`. */
  proposed: DefaultBoxFit;
  /** For people: what a training on this data with the configured model should not begin without. */
  warnings: string[];
}
