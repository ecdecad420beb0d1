import { join } from 'node:path';
import type { DatasetIssue } from '../../lib/data/dataset-issue.ts';
import { openDataset } from '../../lib/data/open-dataset.ts';
import type { OpenDatasetOptions } from '../../lib/data/open-dataset-options.ts';
import type { Sample } from '../../lib/data/sample.ts';
import type { Files } from './formats.ts';
import { temporaryFolder, writeFiles } from './voc.ts';

/** Writes files into a new folder and opens it, or the file or folder `path` in it. */
export async function openFiles(files: Files, options: OpenDatasetOptions = {}, path = '') {
  const folder = await temporaryFolder();
  await writeFiles(folder, files);
  return await openDataset(join(folder, path), options);
}

/** "dog 1 2 30 40" for each object. */
export function objectsOf({ objects }: Sample): string[] {
  return objects.map(({ label, box }) => [label, ...Object.values(box).map((side) => +side.toFixed(4))].join(' '));
}

/** [file name, kind, action] of each issue. */
export function brief(issues: readonly DatasetIssue[]): string[][] {
  return issues.map(({ file, object, kind, action }) => [
    file.replace(/^.*[/\\]/, '') + (object === undefined ? '' : `[${object}]`),
    kind,
    action,
  ]);
}
