import type { WrittenPart } from './written-image.ts';

/** Parts one after the other, as one. */
export function joinParts(parts: readonly WrittenPart[]): WrittenPart {
  if (parts.length === 1) return parts[0]!;
  const starts: number[] = [];
  let length = 0;
  for (const part of parts) {
    starts.push(length);
    length += part.length;
  }
  const ignored = new Map<string, number>();
  for (const part of parts)
    for (const [reason, count] of part.ignored) ignored.set(reason, (ignored.get(reason) ?? 0) + count);
  return {
    length,
    at(index) {
      const which = starts.findLastIndex((start) => start <= index);
      return parts[which]!.at(index - starts[which]!);
    },
    issues: parts.flatMap(({ issues }) => issues),
    ignored,
  };
}

export const emptyPart: WrittenPart = {
  length: 0,
  at: (index) => Promise.reject(new RangeError(`there is no image ${index}`)),
  issues: [],
  ignored: new Map(),
};
