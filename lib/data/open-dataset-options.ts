import type { Dataset } from './dataset.ts';
import type { DatasetConfig } from './dataset-config.ts';
import type { DatasetCounts } from './dataset-counts.ts';
import type { PartName } from './part-name.ts';
import type { ExifMode } from './read-size.ts';

/** The options of `openDataset`. */
export interface OpenDatasetOptions {
  /**
   * The part to open.
   * @default all parts together
   */
  split?: PartName | undefined;
  /**
   * The names of the classes. Objects of other classes are left out.
   * @default the classes of the data, in the order of the source; names that stand only in annotations are sorted
   */
  classes?: readonly string[] | undefined;
  /**
   * The format, needed if a folder holds two: `config`, `voc`, `coco`, `yolo`, `labelme`, `cvat`, `label-studio` or `imagefolder`.
   * @default detected from the content
   */
  format?: string | undefined;
  /**
   * The folder of the images.
   * @default found beside and below the annotations
   */
  images?: string | undefined;
  /**
   * Whether to decode every image once, so that a broken one is found now and not in the middle of a run. Otherwise only headers are read.
   * @default true
   */
  verifyImages?: boolean | undefined;
  /**
   * Whether images are turned upright by their EXIF orientation: `apply`, `ignore` or `auto`. `auto` turns them unless the stated size fits
   * only the stored image.
   * @default 'auto'
   */
  exif?: ExifMode | undefined;
  /**
   * Whether to keep an image without objects if none of its objects could be read. It then counts as background in training.
   * @default false
   */
  keepUnreadable?: boolean | undefined;
  /**
   * The largest annotation in bytes: a file for one image, or one image in a file for many. At most 512 MiB.
   * @default 67108864 (64 MiB)
   */
  maxAnnotationBytes?: number | undefined;
  /**
   * The largest number of objects in one image.
   * @default 100000
   */
  maxObjects?: number | undefined;
  /**
   * The largest image in pixels. The decoder reduces images above 50 megapixels if it can.
   * @default 120000000
   */
  maxPixels?: number | undefined;
  /**
   * Keep what was found in the user's cache, so that the next opening takes seconds. It is used for as long as every file has the same
   * size and times. The folder `datasets` in the cache may be deleted at any time.
   * @default true
   */
  cache?: boolean | undefined;
  /**
   * Aborting this signal makes the call reject with the signal's reason.
   * @default none
   */
  signal?: AbortSignal | undefined;
  /**
   * Called after every image. An error that it throws ends the call.
   * @default none
   */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A data set that was opened from files. */
export interface OpenedDataset extends Dataset {
  /** The format and file in words, for example "YOLO (data.yaml)". */
  readonly source: string;
  /** The outcome of every file. */
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
