import type { GroundTruth } from '../boxes/detection.ts';

/** One image with its objects; boxes are in pixels of the image as it is stored (EXIF orientation not applied). */
export interface Sample {
  id: string;
  imagePath: string;
  width: number;
  height: number;
  objects: GroundTruth[];
}
