import { join } from 'node:path';
import type { FileTree } from './file-tree.ts';

/** Marks on the files of a tree: a byte for each of them. */
export class TreeMarks {
  readonly tree: FileTree;
  /** What paths below the tree begin with. */
  readonly #prefix: string;
  readonly #marks: Uint8Array;

  constructor(tree: FileTree) {
    this.tree = tree;
    this.#prefix = join(tree.root, 'x').slice(0, -1);
    this.#marks = new Uint8Array(tree.files.length);
  }

  /** Marks a file by its whole path. Returns whether it is in the tree. */
  mark(path: string): boolean {
    const index = this.#positionOf(path);
    if (index === undefined) return false;
    this.#marks[index] = 1;
    return true;
  }

  isMarked(index: number): boolean {
    return this.#marks[index] === 1;
  }

  has(path: string): boolean {
    return this.#positionOf(path) !== undefined;
  }

  /** A binary search: a million paths need no second index. */
  #positionOf(path: string): number | undefined {
    if (!path.startsWith(this.#prefix)) return undefined;
    const { files } = this.tree;
    const wanted = path.slice(this.#prefix.length).replaceAll('\\', '/');
    let [low, high] = [0, files.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const file = files[middle]!;
      if (file === wanted) return middle;
      if (file < wanted) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}
