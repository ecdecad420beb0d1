import type { Box } from '../../boxes/box.ts';
import type { PartName } from '../part-name.ts';

/** An object to write: an annotated one, or a detection with its score. */
export interface OutputObject {
  label: string;
  /** In pixels of the upright image. */
  box: Box;
  score?: number;
  difficult?: boolean;
}

/** An image to write; its file is copied beside. */
export interface OutputImage {
  imagePath: string;
  /** A name of its own in the part. */
  fileName: string;
  /** Pixels of the upright image. */
  width: number;
  height: number;
  objects: readonly OutputObject[];
}

export interface OutputPart {
  name: PartName | 'all';
  images: readonly OutputImage[];
}

/** A text file to write, in pieces, so that one of any size is never held whole. */
export interface OutputFile {
  /** Below the folder of the data set, with `/`. */
  path: string;
  pieces: Iterable<string>;
}

/** How a data set is written in one format. */
export interface DatasetWriter {
  /** As `--to` has it. */
  name: string;
  /** Where the images of a part go, below the folder of the data set. */
  imageFolder(part: PartName | 'all'): string;
  files(parts: readonly OutputPart[], classes: readonly string[]): Iterable<OutputFile>;
}

/** As other tools call the parts. */
export const usualNames = { train: 'train', valid: 'val', test: 'test', all: 'all' } as const;

/** The name of a file without its extension. */
export function stemOf(fileName: string): string {
  return fileName.replace(/\.[^.]*$/, '');
}
