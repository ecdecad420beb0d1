import type { DatasetIssue } from './dataset-issue.ts';

/** Of each kind so many are kept, and the others counted: nobody reads a million of them, and they would fill the memory. */
const MAX_KEPT = 1000;

interface Group {
  kept: number;
  /** Where the last kept one is. */
  last: number;
  /** Those that are not kept. */
  more: number;
}

/** Issues in their order, of each kind the first ones. */
export class IssueLog {
  readonly #kept: DatasetIssue[] = [];
  readonly #groups = new Map<string, Group>();
  readonly #files = new Set<string>();
  #lostFiles = 0;

  /** Images, and annotations without an image, that could not be used. */
  get lostFiles(): number {
    return this.#lostFiles;
  }

  /** The files that are at fault as a whole. */
  get files(): ReadonlySet<string> {
    return this.#files;
  }

  add(issue: DatasetIssue): void {
    const { file, kind, action, object, count = 1 } = issue;
    if (object === undefined) this.#files.add(file);
    // What is listed twice is not lost.
    if (action === 'skipped' && object === undefined && kind !== 'duplicate-id') this.#lostFiles += count;
    const key = `${kind} ${action} ${object === undefined}`;
    const group = this.#groups.get(key) ?? { kept: 0, last: 0, more: 0 };
    this.#groups.set(key, group);
    if (group.kept === MAX_KEPT) {
      group.more += count;
      return;
    }
    group.kept++;
    group.last = this.#kept.push(issue) - 1;
  }

  addAll(issues: Iterable<DatasetIssue>): void {
    for (const issue of issues) this.add(issue);
  }

  /** What another log has. */
  addLog(log: IssueLog): void {
    this.addAll(log.list());
    for (const file of log.files) this.#files.add(file);
  }

  /** The last one of a kind that has more stands for those too. */
  list(): DatasetIssue[] {
    const list = [...this.#kept];
    for (const { last, more } of this.#groups.values()) {
      const issue = list[last]!;
      const message = `${issue.message} (and ${more} more of this kind)`;
      if (more > 0) list[last] = { ...issue, message, count: (issue.count ?? 1) + more };
    }
    return list;
  }
}
