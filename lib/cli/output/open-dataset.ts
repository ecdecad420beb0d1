import { formatIssues } from '../../data/dataset-issue.ts';
import { VocDataset, type VocDatasetOptions } from '../../data/voc-dataset.ts';
import { createProgress } from './progress.ts';
import { thousands } from './text.ts';

/** Opens a data set with a progress display, and reports what had to be skipped or repaired, all on standard error. */
export async function openDataset(name: string, options: VocDatasetOptions): Promise<VocDataset> {
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const dataset = await VocDataset.open({
      ...options,
      onProgress: (done, total) => {
        progress ??= createProgress({ total, unit: 'image', label: `Reading ${name} data` });
        progress.update(done);
      },
    });
    progress?.stop();
    const report = formatIssues(dataset.issues);
    if (report !== '') console.error(`In the ${name} data: ${report}`);
    return dataset;
  } finally {
    progress?.stop();
  }
}

/** "Training images: 16,551 with 47,223 objects" */
export function describeDataset(name: string, { samples }: VocDataset): string {
  const objects = samples.reduce((sum, sample) => sum + sample.objects.length, 0);
  return `${name} images: ${thousands(samples.length)} with ${thousands(objects)} objects`;
}
