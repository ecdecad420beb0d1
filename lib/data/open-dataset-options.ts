import type { Dataset } from './dataset.ts';
import type { DatasetConfig } from './dataset-config.ts';
import type { DatasetCounts } from './dataset-counts.ts';
import type { PartName } from './part-name.ts';
import type { ExifMode } from './read-size.ts';

/** How a data set is opened. */
export interface OpenDatasetOptions {
  /**
   * The part that is opened.
   * @default all parts together
   */
  split?: PartName | undefined;
  /**
   * The names of the classes. Objects of other classes are left out.
   * @default the classes of the data, in the order of the source; names that stand only in annotations are sorted
   */
  classes?: readonly string[] | undefined;
  /**
   * The format, where a folder holds two: `config`, `voc`, `coco`, `yolo`, `labelme`, `cvat`, `label-studio` or `imagefolder`.
   * @default it is detected
   */
  format?: string | undefined;
  /**
   * The folder of the images.
   * @default they are looked for beside and below the annotations
   */
  images?: string | undefined;
  /**
   * Decode every image once, so that a broken one is found now and not in the middle of a run. Without it only headers are read.
   * @default true
   */
  verifyImages?: boolean | undefined;
  /**
   * Whether images are turned upright by their EXIF orientation: `apply`, `ignore`, or `auto`, which turns them unless the stated size
   * fits the stored image alone.
   * @default 'auto'
   */
  exif?: ExifMode | undefined;
  /**
   * Keep an image, as one without objects, if none of its objects could be read. It teaches that nothing is there.
   * @default false
   */
  keepUnreadable?: boolean | undefined;
  /**
   * Bytes of one annotation: of a file for one image, or of one image in a file for many.
   * @default 67108864 (64 MiB)
   */
  maxAnnotationBytes?: number | undefined;
  /**
   * Objects in one image.
   * @default 100000
   */
  maxObjects?: number | undefined;
  /**
   * Pixels of one image. Images of more than 50 megapixels are decoded at a reduced size where the decoder can.
   * @default 120000000
   */
  maxPixels?: number | undefined;
  /** When it is aborted, the opening rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Called after every image; what it throws ends the opening. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A data set that was opened from files. */
export interface OpenedDataset extends Dataset {
  /** What was found, for people: "YOLO (data.yaml)". */
  readonly source: string;
  /** What became of every file. */
  readonly counts: DatasetCounts;
}

/** A data set that was found and whose parts can be opened, with the same classes for all of them. */
export interface DatasetHandle {
  /** What was found, for people: "YOLO (data.yaml)". */
  readonly source: string;
  /** The parts that the data set has; empty where it says nothing about parts. */
  readonly parts: readonly PartName[];
  /** The data set file of this project, where that is what was found. */
  readonly config?: DatasetConfig | undefined;
  /** The classes of every part: those that were asked for, those of the source, or the names in all annotations. */
  classes(): Promise<string[]>;
  /** Opens a part, or everything. */
  open(split?: PartName, onProgress?: (done: number, total: number) => void): Promise<OpenedDataset>;
}
