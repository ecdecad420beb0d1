import { relative } from 'node:path';

/** The kind of a problem with a file or an object of a data set. */
export type DatasetIssueKind =
  | 'id-invalid'
  | 'duplicate-id'
  | 'duplicate-file'
  | 'image-missing'
  | 'image-unreadable'
  | 'annotation-missing'
  | 'annotation-invalid'
  | 'size-mismatch'
  | 'orientation'
  | 'no-objects'
  | 'objects-unreadable'
  | 'coordinates-relative'
  | 'crowd'
  | 'duplicate-object'
  | 'unknown-class'
  | 'coordinate-invalid'
  | 'box-empty'
  | 'box-outside'
  | 'box-clipped'
  | 'box-derived';

/** A problem of a data set that was skipped, repaired or kept. */
export interface DatasetIssue {
  /** The file with the problem. */
  file: string;
  /** The position of the object in its file or sample, from 0, if the problem is one object. */
  object?: number;
  kind: DatasetIssueKind;
  /** A description of the problem. */
  message: string;
  /** The action: left out, repaired, or used anyway. */
  action: 'skipped' | 'repaired' | 'kept';
  /**
   * How many issues it stands for: of each kind the first 1,000 are kept, and the last of them counts the others.
   * @default 1
   */
  count?: number;
}

/** How many issues there were. */
export function countIssues(issues: readonly DatasetIssue[]): number {
  return issues.reduce((sum, { count = 1 }) => sum + count, 0);
}

/**
 * Describes issues in words: the counts by kind, then the first `limit` issues, one per line. The worst come first: lost images, lost
 * objects, doubtful data, repairs. The text is empty without issues.
 */
export function formatIssues(issues: readonly DatasetIssue[], limit = 10): string {
  if (issues.length === 0) return '';
  const byWeight: DatasetIssue[][] = [[], [], [], []];
  for (const issue of issues) byWeight[weightOf(issue)]!.push(issue);
  const ordered = byWeight.flat();
  const counts = new Map<string, number>();
  for (const { kind, action, count = 1 } of ordered) {
    counts.set(`${kind} (${action})`, (counts.get(`${kind} (${action})`) ?? 0) + count);
  }
  const summary = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
  const lines = ordered.slice(0, limit).map((issue) => `  ${formatIssue(issue)}`);
  const total = countIssues(issues);
  const more = total - countIssues(ordered.slice(0, limit));
  if (more > 0) lines.push(`  ... and ${more} more`);
  return [`${total} ${total === 1 ? 'issue' : 'issues'}: ${summary}`, ...lines].join('\n');
}

/** 0 for a lost image, 1 for a lost object, 2 for what is kept, 3 for what was mended; what concerns all images is worst. */
function weightOf({ kind, action, object }: DatasetIssue): number {
  if (kind === 'no-objects' || kind === 'coordinates-relative') return 0;
  if (action === 'skipped') return object === undefined ? 0 : 1;
  return action === 'kept' ? 2 : 3;
}

function formatIssue({ file, object, kind, message, action }: DatasetIssue): string {
  const fromHere = relative('', file);
  const shown = fromHere.length < file.length ? fromHere : file;
  return `${shown}${object === undefined ? '' : ` object[${object}]`}: ${kind}: ${message} (${action})`;
}
