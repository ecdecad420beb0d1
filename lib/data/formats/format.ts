import type { AnnotationLimits } from '../annotation-limits.ts';
import type { DatasetConfig } from '../dataset-config.ts';
import type { FileTree } from '../file-tree.ts';
import type { Footprint } from '../footprint.ts';
import type { PartName } from '../part-name.ts';
import type { WrittenPart } from '../written-image.ts';

/** How a file begins: enough to tell what it is. */
export interface FileHead {
  /** Its path below the place that was given, with `/`. */
  name: string;
  /** Its first 64 KiB. */
  text: string;
}

/** What a format is asked to make a data set of. */
export interface Place {
  /** The file or folder that was given. */
  path: string;
  /** The folder of the data set: the one given, or that of the file. */
  root: string;
  /** The file given, below `root`; undefined where a folder was given. */
  file?: string;
  /** What lies below `root`. */
  tree(): Promise<FileTree>;
  /** Where images are looked for: what lies below `root`, or below the folder of images that was given. */
  images(): Promise<FileTree>;
  /** The classes that were asked for: what numbers stand for where no file says so. */
  classes?: readonly string[] | undefined;
  signal?: AbortSignal | undefined;
  limits: AnnotationLimits;
  /** A reader notes in it what it reads. */
  footprint: Footprint;
}

/** A data set that was found, not yet read. */
export interface FoundDataset {
  /** What it is and where, for people: `YOLO (data.yaml)`. */
  description: string;
  /** In the order of the source; absent where names stand only in the annotations. */
  classes?: readonly string[];
  /** `all` where nothing says which part an image belongs to. */
  parts: ReadonlyMap<PartName | 'all', () => Promise<WrittenPart>>;
  /** The data set file of this project. */
  config?: DatasetConfig;
}

/** One way to write a data set down. A new one is a file beside this one, and a line in `formats.ts`. */
export interface DatasetFormat {
  /** As `--to` has it. */
  name: string;
  /** For people. */
  title: string;
  /** Whether a file is of this format, by its name and how it begins. */
  claims(head: FileHead): boolean;
  /** The data set of these files, the first ones that `claims` took, in code-unit order. */
  locate(claimed: readonly string[], place: Place): Promise<FoundDataset>;
}
