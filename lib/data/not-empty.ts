import { DetectorError } from '../base/errors.ts';
import { type DatasetIssue, formatIssues } from './dataset-issue.ts';
import type { Sample } from './sample.ts';

/**
 * A data set may have images without objects, but not lose every object that was annotated. `place` says where it comes from.
 * @throws {DetectorError} `DATASET_EMPTY`
 */
export function checkNotEmpty(place: string, samples: readonly Sample[], issues: readonly DatasetIssue[]): void {
  const kept = samples.reduce((sum, { objects }) => sum + objects.length, 0);
  const lost = issues.some(({ object, action }) => object !== undefined && action === 'skipped');
  if (samples.length > 0 && (kept > 0 || !lost)) return;
  const what =
    samples.length === 0 ? 'no image with an annotation is left' : 'none of the annotated objects could be used';
  throw new DetectorError(
    'DATASET_EMPTY',
    `The data set in ${place} is empty: ${what}. ${formatIssues(issues)}`.trim(),
  );
}
