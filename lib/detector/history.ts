import { rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DetectorError, messageOf } from '../base/errors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { findManifest } from './manifest.ts';

/** The checkpoints that a run keeps: the newest, the one before it, and the best. */
export const LAST = 'last';
export const PREVIOUS = 'previous';
export const BEST = 'best';

/** What is wrong with a checkpoint that another one of its run can stand in for. */
function isDamage(dir: string, error: unknown): boolean {
  if (!(error instanceof DetectorError)) return false;
  // A run may have no best yet, and a folder may have been mistyped; but a last that is gone has a successor.
  return error.code === 'CHECKPOINT_CORRUPT' || (error.code === 'CHECKPOINT_NOT_FOUND' && basename(dir) === LAST);
}

/** The other checkpoints of the run that `dir` belongs to, the newest first. */
async function othersOf(dir: string, names: readonly string[]): Promise<string[]> {
  if (![LAST, PREVIOUS, BEST].includes(basename(dir))) return [];
  const others: { path: string; age: number }[] = [];
  for (const name of names.filter((each) => each !== basename(dir))) {
    const path = join(dirname(dir), name);
    const training = (await findManifest(path).catch(() => undefined))?.manifest.training;
    if (training) others.push({ path, age: training.epoch + ('step' in training && training.step ? 0.5 : 0) });
  }
  return others.sort((a, b) => b.age - a.age).map(({ path }) => path);
}

/** A checkpoint that was used, and what is wrong with the one that it stands in for. */
export interface Used<T> {
  path: string;
  result: T;
  damage?: { path: string; error: unknown };
}

/**
 * Uses a checkpoint of a run, or, where that is damaged, the newest one of its run that is sound: of those with these names.
 * @throws what is wrong with the checkpoint in `dir` if there is no sound one
 */
export async function useSound<T>(
  dir: string,
  use: (dir: string) => Promise<T>,
  names: readonly string[] = [LAST, PREVIOUS, BEST],
): Promise<Used<T>> {
  try {
    return { path: dir, result: await use(dir) };
  } catch (error) {
    if (!isDamage(dir, error)) throw error;
    for (const path of await othersOf(dir, names)) {
      const used = await use(path).then(
        (result) => ({ path, result, damage: { path: dir, error } }),
        () => undefined,
      );
      if (used) return used;
    }
    throw error;
  }
}

/** Which checkpoint is used instead of which, and why. */
export function describeFallback<T>({ path, damage }: Used<T>, { manifest }: Pick<Checkpoint, 'manifest'>): string {
  return `${messageOf(damage?.error)} Using ${path} instead, of epoch ${manifest.training?.epoch ?? 0}`;
}

/** Gives a damaged checkpoint another name, for whoever wants to look into it. Returns that name; undefined if it is not there. */
export async function putAside(dir: string): Promise<string | undefined> {
  const isThere = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
  if (!(await isThere(dir))) return undefined;
  let path = `${dir}.damaged`;
  for (let number = 2; await isThere(path); number++) path = `${dir}.damaged-${number}`;
  await rename(dir, path);
  return path;
}
