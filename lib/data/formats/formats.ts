import { coco } from './coco.ts';
import { cvat } from './cvat.ts';
import type { DatasetFormat, FileHead } from './format.ts';
import { imageFolder } from './image-folder.ts';
import { labelStudio } from './label-studio.ts';
import { labelme } from './labelme.ts';
import { project } from './project.ts';
import { voc } from './voc.ts';
import { yolo } from './yolo.ts';

/** Every format that is read. */
export const formats: readonly DatasetFormat[] = [project, voc, coco, yolo, labelme, cvat, labelStudio, imageFolder];

/** A format that is known and not read, and what to do about it. */
export interface ForeignFormat {
  title: string;
  claims(head: FileHead): boolean;
  remedy: string;
}

export const foreignFormats: readonly ForeignFormat[] = [
  {
    title: 'TFRecord',
    claims: ({ name }) => /\.(tfrecords?|record)(-\d+-of-\d+)?$/i.test(name),
    remedy: 'Export the data set as COCO JSON or Pascal VOC',
  },
  {
    title: 'Parquet',
    claims: ({ name }) => /\.parquet$/i.test(name),
    remedy: 'Save the data set as an ImageFolder with metadata.jsonl, or as COCO JSON',
  },
  {
    title: 'panoptic COCO',
    claims: ({ name, text }) =>
      /\.json$/i.test(name) && (text.includes('"segments_info"') || /(^|\/)panoptic_/i.test(name)),
    remedy: 'It has no boxes. Give the instances_*.json beside it',
  },
  {
    title: 'COCO captions',
    claims: ({ name, text }) => /\.json$/i.test(name) && (/"caption"\s*:/.test(text) || /(^|\/)captions_/i.test(name)),
    remedy: 'It has no boxes. Give the instances_*.json beside it',
  },
  {
    title: 'COCO results',
    claims: ({ name, text }) =>
      /\.json$/i.test(name) && /^\s*\[\s*\{[^}]*"score"\s*:/.test(text) && text.includes('"image_id"'),
    remedy: 'These are detections. Give the ground truth, a file with images, annotations and categories',
  },
  {
    title: 'CVAT XML for video',
    claims: ({ name, text }) => /\.xml$/i.test(name) && /<track[\s>]/.test(text) && /<annotations[\s>]/.test(text),
    remedy: 'Export the task as "CVAT for images 1.1" or as COCO 1.0, with its images',
  },
  {
    title: 'VIA JSON (VGG Image Annotator)',
    claims: ({ name, text }) =>
      /\.json$/i.test(name) && (text.includes('"_via_img_metadata"') || /"region_attributes"/.test(text)),
    remedy: 'Export it from VIA as COCO JSON',
  },
  {
    title: 'CreateML JSON',
    claims: ({ name, text }) =>
      /\.json$/i.test(name) && /"coordinates"\s*:\s*\{/.test(text) && /"image(filename)?"\s*:/.test(text),
    remedy: 'Export it as COCO JSON or Pascal VOC',
  },
];
