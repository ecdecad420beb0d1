import { DetectorError, messageOf } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import { inspectImage } from '../images/image.ts';
import type { ImageHeader } from '../images/image-header.ts';
import type { DatasetIssue, DatasetIssueKind } from './dataset-issue.ts';

/** The modes of EXIF orientations. `apply` and `ignore` hold for all images; `auto` lets a stated size decide. */
export const exifModes = ['auto', 'apply', 'ignore'] as const;
export type ExifMode = (typeof exifModes)[number];

/** The size of an image, and whether it is that of the stored pixels instead of the upright image. */
export interface ReadSize extends Size {
  stored?: true;
}

/** Where an image and its stated size come from. */
export interface SizeSource {
  imagePath: string;
  /** What `stated` is called, such as `<size>`. */
  what: string;
  stated?: Size | undefined;
  /** The file that states it: issues name it. */
  file: string;
}

/**
 * The size of an image file as people see it. A stated size that fits the stored pixels alone decides for them. A file that cannot be
 * read becomes an issue. With `verify` the whole image is decoded, which finds exactly what decoding would fail on later.
 */
export async function readSize(
  source: SizeSource,
  { verify, exif = 'auto', maxPixels }: { verify: boolean; exif?: ExifMode; maxPixels?: number | undefined },
  issues: DatasetIssue[],
): Promise<ReadSize | undefined> {
  const { imagePath } = source;
  const header = await orIssue(inspectImage(imagePath, verify, maxPixels), imagePath, 'image-unreadable', issues);
  return header && orientedSize(header, source, exif, issues);
}

/** The same from what is known of the image. */
export function orientedSize(
  { width, height, orientation }: ImageHeader,
  { what, stated, file }: Pick<SizeSource, 'what' | 'stated' | 'file'>,
  exif: ExifMode,
  issues: DatasetIssue[],
): ReadSize {
  const stored = { width, height };
  const upright = orientation >= 5 ? { width: height, height: width } : stored;
  const isStored =
    orientation > 1 && (exif === 'ignore' || (exif === 'auto' && fits(stated, stored) && !fits(stated, upright)));
  const image = isStored ? stored : upright;
  if (stated && !fits(stated, image)) {
    const message = `${what} is ${stated.width} x ${stated.height}, the image ${image.width} x ${image.height}`;
    issues.push({ file, kind: 'size-mismatch', message, action: 'kept' });
  } else if (isStored && exif === 'auto') {
    const message = `${what} is that of the stored image, ${width} x ${height}, which its EXIF orientation ${orientation} turns: the boxes are taken for the stored image (exif: 'apply' takes them for the upright one)`;
    issues.push({ file, kind: 'orientation', message, action: 'kept' });
  }
  return isStored ? { ...image, stored: true } : image;
}

function fits(stated: Size | undefined, image: Size): boolean {
  return stated?.width === image.width && stated.height === image.height;
}

/** What a reader gives; a `DetectorError` of it becomes an issue. */
export async function orIssue<T>(
  reading: Promise<T>,
  file: string,
  kind: DatasetIssueKind,
  issues: DatasetIssue[],
): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error;
    issues.push({ file, kind, message: messageOf(error), action: 'skipped' });
    return undefined;
  }
}
