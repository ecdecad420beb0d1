import type { Size } from '../boxes/box.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import type { WrittenObject } from './examine-objects.ts';
import type { FileTree } from './file-tree.ts';
import type { IssueLog } from './issue-log.ts';

/** One image as the files of a data set describe it: nothing of it is checked against the image itself. */
export interface WrittenImage {
  /** Its path below the data set, without the extension. */
  id: string;
  imagePath: string;
  /** The file that names the objects: issues point to it. */
  annotationPath: string;
  /** What the annotation says of the image, where it does. */
  size?: Size | undefined;
  /** What that size is called in messages, such as `<size>`. */
  sizeName?: string;
  objects: WrittenObject[];
  /** Boxes are in parts of the image, from 0 to 1, instead of pixels. */
  relative?: true;
  /** What the annotation says beyond what can be used. Without `objects` the image is left out. */
  issues?: DatasetIssue[];
  /** The annotation could not be read, or says that nobody has labelled the image. */
  unusable?: true;
}

/** One part of a data set as its files describe it. */
export interface WrittenPart {
  length: number;
  /** The image at a position, from 0. A file for each image is read now. */
  at(index: number): WrittenImage | Promise<WrittenImage>;
  /** What was found while looking for the images; each one `skipped` here is an image or a file that is lost. */
  issues: IssueLog;
  /** Where annotations were looked for, for a message when there are none. */
  place?: string;
  /** The folders whose files are accounted for, every one of them. */
  trees: readonly FileTree[];
  /** Why an image of the trees may not be in the part. */
  notNamed?: string;
  /** What the annotation of one image is called: it counts with its image. */
  annotationName?: RegExp;
}
