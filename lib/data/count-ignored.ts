import { type FileTree, IMAGE_NAME, OTHER_IMAGE } from './file-tree.ts';
import type { Footprint } from './footprint.ts';
import { type PartName, partOfPath } from './part-name.ts';
import type { TreeMarks } from './tree-marks.ts';
import type { WrittenPart } from './written-image.ts';

/** More reasons than these become one: a folder may hold files of any kind. */
const MAX_REASONS = 12;

/** The files in the folders of a part that nothing has used, counted by why. */
export function countIgnored(
  part: Pick<WrittenPart, 'notNamed' | 'annotationName'>,
  claimed: readonly TreeMarks[],
  footprint: Footprint,
  split: PartName | undefined,
): Map<string, number> {
  const counts = new Map<string, number>();
  const isAnnotation = annotationsOf(
    claimed.map(({ tree }) => tree),
    part.annotationName,
  );
  for (const marks of claimed) {
    for (const [index, file] of marks.tree.files.entries()) {
      if (marks.isMarked(index) || footprint.isDescription(marks.tree, index) || isAnnotation(file)) continue;
      const reason = reasonOf(file, part.notNamed, split);
      const key = counts.has(reason) || counts.size < MAX_REASONS ? reason : 'other files';
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

/** Whether a file is the annotation of an image of the trees, with which it is counted. */
function annotationsOf(trees: readonly FileTree[], annotationName: RegExp | undefined): (file: string) => boolean {
  let stems: Set<string> | undefined;
  return (file) => {
    if (annotationName?.test(file) !== true) return false;
    stems ??= new Set(trees.flatMap((tree) => tree.files.filter((each) => IMAGE_NAME.test(each)).map(lastStem)));
    return stems.has(lastStem(file));
  };
}

function lastStem(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/\.[^.]*$/, '');
}

function reasonOf(file: string, notNamed: string | undefined, split: PartName | undefined): string {
  const part = split && partOfPath(file);
  if (IMAGE_NAME.test(file) && part !== undefined && part !== split) return `image of the part ${part}`;
  if (IMAGE_NAME.test(file)) return notNamed ?? 'image that no annotation names';
  const extension = /\.[^./]{1,10}$/.exec(file)?.[0].toLowerCase() ?? 'no extension';
  return OTHER_IMAGE.test(file) ? `image that is no JPEG, PNG or WebP (${extension})` : `other file (${extension})`;
}
