import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LAST, PREVIOUS } from '../../detector/history.ts';
import { isUnsaved } from '../../training/run-directory.ts';
import { UsageError } from '../usage-error.ts';

/** Chooses an unused folder, so that no earlier result is lost: `runs/train`, or else `runs/train-2`, `runs/train-3` and so on. */
export async function freshDirectory(base: string): Promise<string> {
  const used = await runsLike(base);
  return used.length === 0 ? base : `${base}-${used[0]!.number + 1}`;
}

/** Whether a directory has a run that can go on from a checkpoint. */
export function isSavedRun(dir: string): boolean {
  return [LAST, PREVIOUS].some((name) => existsSync(join(dir, name)));
}

/**
 * The run to go on with: the directory given, else the newest of the default name. It may also be one that was ended before its first
 * save. @throws UsageError when there is none
 */
export async function resumableRun(base: string, outDir: string | undefined): Promise<string> {
  const candidates = outDir === undefined ? (await runsLike(base)).map(({ path }) => path) : [outDir];
  for (const dir of candidates) if (isSavedRun(dir) || (await isUnsaved(dir))) return dir;
  const places = candidates.length > 0 ? candidates.join(', ') : base;
  throw new UsageError(`--resume: no run with a checkpoint "last" in ${places}. Name the run with --out-dir DIR`);
}

/** Lists the directories of that name that are not empty, highest number first. */
async function runsLike(base: string): Promise<{ path: string; number: number }[]> {
  const found: { path: string; number: number }[] = [];
  for (const name of await readdir(dirname(base)).catch(() => [])) {
    const number = numberOf(name, basename(base));
    if (number === undefined) continue;
    const path = join(dirname(base), name);
    const entries = await readdir(path).catch(() => ['it is a file']);
    if (entries.length > 0) found.push({ path, number });
  }
  return found.sort((a, b) => b.number - a.number);
}

/** The number of a directory: 1 for `train`, 2 for `train-2`. */
function numberOf(name: string, base: string): number | undefined {
  if (name === base) return 1;
  const suffix = name.startsWith(`${base}-`) ? name.slice(base.length + 1) : '';
  return /^[1-9]\d{0,8}$/.test(suffix) ? Number(suffix) : undefined;
}
