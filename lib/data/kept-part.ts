import { runInSlices } from '../base/time-slices.ts';
import type { ColumnEntry } from '../files/column-file.ts';
import type { DatasetCounts } from './dataset-counts.ts';
import type { DatasetIssue } from './dataset-issue.ts';
import type { PartContent } from './read-part.ts';
import { areSound, type SampleColumns, SampleTable } from './sample-table.ts';

interface Meta {
  issues: DatasetIssue[];
  counts: DatasetCounts;
}

/** A part as the cache keeps it. */
export function keepPart({ samples, issues, counts }: PartContent): ColumnEntry {
  const { paths, ids, ...numbers } = samples.columns;
  const texts = {
    ...{ pathBytes: paths.bytes, pathStarts: paths.starts },
    ...{ idBytes: ids.bytes, idStarts: ids.starts },
  };
  return { meta: { issues, counts } satisfies Meta, columns: { ...numbers, ...texts } };
}

/** The part that was kept; undefined for one that is not sound. */
export async function takePart(
  { meta, columns }: ColumnEntry,
  classes: readonly string[],
  signal?: AbortSignal,
): Promise<PartContent | undefined> {
  const { pathBytes, pathStarts, idBytes, idStarts, ...numbers } = columns;
  const texts = { paths: { bytes: pathBytes, starts: pathStarts }, ids: { bytes: idBytes, starts: idStarts } };
  const table = { ...numbers, ...texts } as SampleColumns;
  if (!(await runInSlices(areSound(table, classes.length), undefined, signal))) return undefined;
  return { ...(meta as Meta), samples: SampleTable.fromColumns(classes, table) };
}
