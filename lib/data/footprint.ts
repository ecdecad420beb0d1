import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type FileTree, type ListedTree, listTree } from './file-tree.ts';
import { TreeMarks } from './tree-marks.ts';

interface Walked {
  tree: ListedTree;
  /** The files that describe the data set as a whole. */
  described: TreeMarks;
}

/** What an opening has looked at: every file and folder on which its result depends. */
export class Footprint {
  readonly #walked: Walked[] = [];
  readonly #listing = new Map<string, Promise<ListedTree>>();
  readonly #others = new Set<string>();

  /** Lists a folder as `listTree` does, each folder once. */
  async list(root: string, signal?: AbortSignal): Promise<FileTree> {
    const listing = this.#listing.get(root) ?? this.#walk(root, signal);
    this.#listing.set(root, listing);
    return await listing;
  }

  async #walk(root: string, signal?: AbortSignal): Promise<ListedTree> {
    this.#others.add(root); // it may not be there
    const tree = await listTree(root, signal);
    this.#walked.push({ tree, described: new TreeMarks(tree) });
    return tree;
  }

  /** Notes a file that is read, or that would have been read if it were there. */
  use(path: string): void {
    if (!this.#walked.some(({ described }) => described.has(path))) this.#others.add(path);
  }

  /** Notes a file that says what the data set is: it belongs to no image, and is no stray file. */
  describe(path: string): void {
    this.use(path);
    for (const { described } of this.#walked) described.mark(path);
  }

  /** Whether a file or folder is there; the answer is noted too. */
  exists(path: string): boolean {
    this.use(path);
    return existsSync(path);
  }

  /** Whether a file, by its position in a tree that was listed here, says what the data set is. */
  isDescription(tree: FileTree, index: number): boolean {
    return this.#walked.some((walked) => walked.tree === tree && walked.described.isMarked(index));
  }

  /** Every path, some more than once. */
  *paths(): Generator<string> {
    yield* this.#others;
    for (const { tree } of this.#walked) {
      for (const folder of tree.folders) yield join(tree.root, folder);
      for (const file of tree.files) yield join(tree.root, file);
    }
  }
}
