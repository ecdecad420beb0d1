import { DetectorError } from '../base/errors.ts';
import { type DatasetIssue, formatIssues } from './dataset-issue.ts';

/**
 * A data set may have images without objects, but not lose every object that was annotated. `place` says where it comes from.
 * @throws {DetectorError} `DATASET_EMPTY`
 */
export function checkNotEmpty(
  place: string,
  samples: { readonly length: number; readonly objects: number },
  issues: readonly DatasetIssue[],
): void {
  const lost = issues.some(({ object, action }) => object !== undefined && action === 'skipped');
  if (samples.length > 0 && (samples.objects > 0 || !lost)) return;
  const what =
    samples.length === 0 ? 'no image with an annotation is left' : 'none of the annotated objects could be used';
  throw new DetectorError(
    'DATASET_EMPTY',
    `The data set in ${place} is empty: ${what}. ${formatIssues(issues)}`.trim(),
  );
}
