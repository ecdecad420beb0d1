import { join } from 'node:path';
import { type FileTree, IMAGE_NAME, OTHER_IMAGE } from './file-tree.ts';

/**
 * Finds the image that an annotation names. Names are compared in Unicode NFC; what stands before the folders of the data set (a
 * drive, the home of whoever labelled, a URL) does not count. Only files of the tree are ever found.
 */
export class ImageFinder {
  readonly #tree: FileTree;
  /** Positions in the tree by the last part of the path. */
  readonly #byName = new Map<string, number | number[]>();
  /** Made when the first image is missing. */
  #near: Map<string, number> | undefined;
  #stems: Map<string, number> | undefined;

  constructor(tree: FileTree) {
    this.#tree = tree;
    for (const [index, path] of tree.files.entries()) {
      if (!IMAGE_NAME.test(path) && !OTHER_IMAGE.test(path) && /\.\w{1,5}$/.test(path)) continue;
      const name = lastOf(path).normalize('NFC');
      const found = this.#byName.get(name);
      if (found === undefined) this.#byName.set(name, index);
      else if (typeof found === 'number') this.#byName.set(name, [found, index]);
      else found.push(index);
    }
  }

  /**
   * The path of the image, or undefined. Of several files of the name the one is taken that shares most folders with `name`, below
   * `near` (a folder of the tree) where that still leaves a choice; several that are alike are none.
   */
  find(name: string, near = ''): string | undefined {
    const wanted = plainPath(name).split('/');
    const found = this.#byName.get(wanted.at(-1)!);
    if (found === undefined) return undefined;
    const index = typeof found === 'number' ? found : this.#choose(found, wanted, near);
    if (index === undefined) return undefined;
    return join(this.#tree.root, this.#tree.files[index]!);
  }

  /** The path of the file that is just there below the folder of the data set, or undefined. */
  findExactly(path: string): string | undefined {
    const wanted = path.normalize('NFC');
    const found = this.#byName.get(lastOf(wanted));
    const candidates = typeof found === 'number' ? [found] : (found ?? []);
    const index = candidates.find((each) => this.#tree.files[each]!.normalize('NFC') === wanted);
    if (index === undefined) return undefined;
    return join(this.#tree.root, this.#tree.files[index]!);
  }

  #choose(candidates: readonly number[], wanted: readonly string[], near: string): number | undefined {
    const scored = candidates.map((index) => {
      const path = this.#tree.files[index]!.normalize('NFC').split('/');
      let shared = 0;
      while (shared < Math.min(path.length, wanted.length) && path.at(-1 - shared) === wanted.at(-1 - shared)) shared++;
      const folders = near === '' ? [] : near.split('/');
      let common = 0;
      while (common < folders.length && folders[common] === path[common]) common++;
      return { index, score: [shared, common, -path.length] as const };
    });
    scored.sort((a, b) => compareScores(b.score, a.score));
    return compareScores(scored[0]!.score, scored[1]!.score) === 0 ? undefined : scored[0]!.index;
  }

  /** What may be meant by the name of an image that was not found: "; did you mean ...?", or nothing. */
  hint(name: string): string {
    const plain = lastOf(plainPath(name));
    const same = this.#byName.get(plain);
    if (Array.isArray(same)) {
      const paths = same.slice(0, 3).map((index) => this.#tree.files[index]);
      return `; ${same.length} files have that name: ${paths.join(', ')}`;
    }
    this.#near ??= new Map(
      [...this.#byName].map(([known, found]) => [looseName(known), typeof found === 'number' ? found : found[0]!]),
    );
    const loose = looseName(plain);
    const other = this.#near.get(loose) ?? this.#sameStem(loose.replace(/\.\w+$/, ''));
    if (other === undefined) return '';
    const path = this.#tree.files[other]!;
    return OTHER_IMAGE.test(path)
      ? `; ${path} is there, which is no JPEG, PNG or WebP: convert it to one of them`
      : `; did you mean "${path}"?`;
  }

  #sameStem(stem: string): number | undefined {
    this.#stems ??= new Map([...this.#near!].map(([known, index]) => [known.replace(/\.\w+$/, ''), index]));
    return this.#stems.get(stem);
  }
}

function compareScores(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) if (value !== b[i]) return value - b[i]!;
  return 0;
}

/** A path with `/`, without the host or the query of a URL, without `.` and `..`, in NFC. */
export function plainPath(name: string): string {
  const url = /^[a-z][a-z\d+.-]+:\/\//i.test(name);
  const path = url ? decodeUrl(name.replace(/^[a-z][a-z\d+.-]+:\/\//i, '').replace(/[?#].*$/s, '')) : name;
  const parts = path.replaceAll('\\', '/').split('/');
  return parts
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .join('/')
    .normalize('NFC');
}

function decodeUrl(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Names that are alike in all but letter case and `%20`. */
function looseName(name: string): string {
  return decodeUrl(name).normalize('NFC').toLowerCase().replaceAll('+', ' ');
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
