import type { Dataset } from '../../data/dataset.ts';
import { formatCounts } from '../../data/dataset-counts.ts';
import { formatIssues } from '../../data/dataset-issue.ts';
import type { DatasetHandle, OpenedDataset } from '../../data/open-dataset-options.ts';
import type { PartName } from '../../data/part-name.ts';
import { createProgress } from './progress.ts';
import { thousands } from './text.ts';

/** Opens a part of a data set with a progress display. It reports skipped and repaired files on standard error. */
export async function openPart(name: string, data: DatasetHandle, part: PartName | undefined): Promise<OpenedDataset> {
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const dataset = await data.open(part, (done, total) => {
      progress ??= createProgress({ total, unit: 'image', label: `Reading ${name} data` });
      progress.update(done);
    });
    progress?.stop();
    console.error(`The ${name} data: ${data.source}. ${formatCounts(dataset.counts)}`);
    const report = formatIssues(dataset.issues);
    if (report !== '') console.error(`In the ${name} data: ${report}`);
    return dataset;
  } finally {
    progress?.stop();
  }
}

/** Describes a data set: "Training images: 16,551 with 47,223 objects". */
export function describeDataset(name: string, { samples }: Dataset): string {
  const objects = samples.reduce((sum, sample) => sum + sample.objects.length, 0);
  return `${name} images: ${thousands(samples.length)} with ${thousands(objects)} objects`;
}
