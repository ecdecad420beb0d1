import { DetectorError, messageOf } from '../base/errors.ts';
import type { Size } from '../boxes/box.ts';
import { decodeImage, readImageSize } from '../images/image.ts';
import type { DatasetIssue, DatasetIssueKind } from './dataset-issue.ts';

/**
 * The size of an image file in pixels as it is stored. A file that cannot be read becomes an issue. With `verify` the whole image is
 * decoded, which finds exactly what decoding would fail on later.
 */
export async function readSize(path: string, verify: boolean, issues: DatasetIssue[]): Promise<Size | undefined> {
  return await orIssue(verify ? decodeImage(path) : readImageSize(path), path, 'image-unreadable', issues);
}

/** Another size than the one that is stated, `what`, is an issue: the stored one counts. */
export function compareSizes(what: string, stated: Size | undefined, image: Size, file: string): DatasetIssue[] {
  if (stated === undefined || (stated.width === image.width && stated.height === image.height)) return [];
  const turned = stated.width === image.height && stated.height === image.width;
  const hint = turned ? '; is it rotated by EXIF, and annotated upright?' : '';
  const message = `${what} is ${stated.width} x ${stated.height}, the stored image ${image.width} x ${image.height}${hint}`;
  return [{ file, kind: 'size-mismatch', message, action: 'kept' }];
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
