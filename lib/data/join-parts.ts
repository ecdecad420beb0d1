import { IssueLog } from './issue-log.ts';
import type { WrittenPart } from './written-image.ts';

/** Parts one after the other, as one. */
export function joinParts(parts: readonly WrittenPart[]): WrittenPart {
  if (parts.length === 1) return parts[0]!;
  const starts: number[] = [];
  let length = 0;
  const issues = new IssueLog();
  for (const part of parts) {
    starts.push(length);
    length += part.length;
    issues.addLog(part.issues);
  }
  return {
    ...parts[0],
    length,
    at(index) {
      const which = starts.findLastIndex((start) => start <= index);
      return parts[which]!.at(index - starts[which]!);
    },
    issues,
    trees: [...new Set(parts.flatMap(({ trees }) => trees))],
  };
}

export function emptyPart(): WrittenPart {
  return {
    length: 0,
    at: (index) => Promise.reject(new RangeError(`there is no image ${index}`)),
    issues: new IssueLog(),
    trees: [],
  };
}
