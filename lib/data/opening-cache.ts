import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { runInSlices } from '../base/time-slices.ts';
import { version } from '../base/version.ts';
import { makeDirectory, replaceFile } from '../files/atomic-file.ts';
import { cacheRoot } from '../files/cache-root.ts';
import { type ColumnEntry, readColumnFile, writeColumnFile } from '../files/column-file.ts';
import type { Footprint } from './footprint.ts';
import { GrowingArray } from './growing-array.ts';
import { isTextColumn, TextColumn, TextColumnBuilder, type TextColumns } from './text-column.ts';

/** Changes with what is in a file. */
const MARK = 'dinov3-det-dataset-1\n';
/** Of one data set, and of all of them. */
const MAX_BYTES = 1024 ** 3;
const MAX_FILES = 200;
/** A file that was changed so shortly before it was read could change once more without another time. */
const FRESH_MS = 100;
/** File systems that count time in whole or even seconds. */
const FRESH_MS_COARSE = 2000;

/**
 * What openings of one data set found, kept in the user's cache for as long as every file and folder that was looked at has the size and
 * the times that it had. It may be deleted at any time. A file that is damaged, or of another version, is not looked at.
 */
export class OpeningCache {
  readonly #path: string;
  readonly #entries: Record<string, ColumnEntry>;
  /** What the entries depend on that were there already. */
  readonly #witnesses: ColumnEntry | undefined;
  readonly #began = Date.now();

  private constructor(path: string, { witnesses, ...entries }: Record<string, ColumnEntry>) {
    this.#path = path;
    this.#witnesses = witnesses;
    this.#entries = entries;
  }

  /** What is known under a key, any JSON that says what is opened and how. */
  static async open(key: unknown, signal?: AbortSignal): Promise<OpeningCache> {
    const name = createHash('sha256')
      .update(JSON.stringify([version, process.cwd(), key]))
      .digest('hex');
    const path = join(folderOf(), `${name.slice(0, 32)}.bin`);
    const known = await readEntries(path, signal).catch(() => ({}));
    signal?.throwIfAborted();
    return new OpeningCache(path, known);
  }

  get(name: string): ColumnEntry | undefined {
    return this.#entries[name];
  }

  set(name: string, entry: ColumnEntry): void {
    this.#entries[name] = entry;
  }

  /** Keeps the entries. Whether that is possible makes no difference but for the time of the next opening. */
  async save(footprint: Footprint, signal?: AbortSignal): Promise<void> {
    await this.#write(footprint, signal).catch(() => {});
    signal?.throwIfAborted();
  }

  async #write(footprint: Footprint, signal?: AbortSignal): Promise<void> {
    const paths = [...(this.#witnesses ? [pathsOf(this.#witnesses)] : []), footprint.paths()];
    const witnesses = await runInSlices(lookAt(paths, this.#began), undefined, signal);
    if (witnesses === undefined) return;
    await makeDirectory(folderOf());
    await replaceFile(this.#path, (path) => writeColumnFile(path, MARK, { ...this.#entries, witnesses }));
    await removeOldest(folderOf());
  }
}

/** In the user's cache. */
function folderOf(): string {
  return join(cacheRoot(), 'datasets');
}

/** The state of paths. Undefined where one is too fresh to be told from its next state. */
function* lookAt(lists: readonly Iterable<string>[], began: number): Generator<void, ColumnEntry | undefined> {
  const prefixes = new GrowingArray(Uint32Array);
  const suffixes = new TextColumnBuilder();
  const states = new GrowingArray(Float64Array);
  let previous = '';
  for (const paths of lists) {
    for (const path of paths) {
      const state = stateOf(path);
      if (state[1] > began - (state[1] % 1000 === 0 ? FRESH_MS_COARSE : FRESH_MS)) return undefined;
      for (const number of state) states.push(number);
      const shared = sharedLength(previous, path);
      prefixes.push(shared);
      suffixes.push(path.slice(shared));
      previous = path;
      yield;
    }
  }
  const columns = { ...suffixes.finish().columns, prefixes: prefixes.trimmed(), states: states.trimmed() };
  return { meta: {}, columns };
}

/** Size, time of the last change of any kind, time of the last change of the content; -1 for what is not there. */
function stateOf(path: string): [size: number, changed: number, modified: number] {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? [stats.size, stats.ctimeMs, stats.mtimeMs] : [-1, -1, -1];
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Whether every path is as it was. */
function* areUnchanged(witnesses: ColumnEntry): Generator<void, boolean> {
  const { bytes, starts, prefixes, states } = witnesses.columns as unknown as WitnessColumns;
  if (!isTextColumn({ bytes, starts }, prefixes.length) || states.length !== 3 * prefixes.length) return false;
  let at = 0;
  for (const path of pathsOf(witnesses)) {
    for (const number of stateOf(path)) if (number !== states[at++]) return false;
    yield;
  }
  return true;
}

function* pathsOf({ columns }: ColumnEntry): Generator<string> {
  const { bytes, starts, prefixes } = columns as unknown as WitnessColumns;
  const suffixes = new TextColumn({ bytes, starts });
  let path = '';
  for (let i = 0; i < suffixes.length; i++) {
    path = path.slice(0, prefixes[i]) + suffixes.at(i);
    yield path;
  }
}

/** Paths, of each the beginning that it shares with the one before and the rest, and three numbers for each. */
interface WitnessColumns extends TextColumns {
  prefixes: Uint32Array;
  states: Float64Array;
}

/** The entries of a file, where they can be trusted still. */
async function readEntries(path: string, signal?: AbortSignal): Promise<Record<string, ColumnEntry>> {
  const entries = (await readColumnFile(path, MARK, MAX_BYTES, signal)) ?? {};
  const { witnesses } = entries;
  if (witnesses === undefined || !(await runInSlices(areUnchanged(witnesses), undefined, signal))) return {};
  const now = new Date();
  await utimes(path, now, now).catch(() => {}); // the oldest are removed first
  return entries;
}

/** Keeps the cache below its limits. */
async function removeOldest(folder: string): Promise<void> {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => ({ name, stats: await stat(join(folder, name)) })),
  );
  files.sort((a, b) => b.stats.mtimeMs - a.stats.mtimeMs);
  let bytes = 0;
  for (const [index, { name, stats }] of files.entries()) {
    bytes += stats.size;
    if (index >= MAX_FILES || bytes > MAX_BYTES) await rm(join(folder, name), { force: true });
  }
}
