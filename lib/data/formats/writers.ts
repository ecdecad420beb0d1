import { cocoWriter } from './write-coco.ts';
import { labelStudioWriter } from './write-label-studio.ts';
import { labelmeWriter } from './write-labelme.ts';
import { vocWriter } from './write-voc.ts';
import { yoloWriter } from './write-yolo.ts';
import type { DatasetWriter } from './writer.ts';

/** Every format that is written. */
export const writers: readonly DatasetWriter[] = [vocWriter, cocoWriter, yoloWriter, labelmeWriter, labelStudioWriter];
