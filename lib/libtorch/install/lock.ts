import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeDirectory } from '../../files/atomic-file.ts';

export type LockOptions = {
  signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock. */
  onWait?: ((pid: number) => void) | undefined;
};

/** A holder renews its lock this often; one not renewed for `staleAfter` (another machine's, a frozen one's) is dead. */
const renewEvery = 5_000;
const staleAfter = 30_000;
const pollEvery = 200;

type Holder = { pid: number; host: string; token: string };

/** Runs `action` while no other process of this user runs one under the same lock file; waits for its turn. */
export async function withLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  const holder: Holder = { pid: process.pid, host: hostname(), token: randomUUID() };
  await makeDirectory(dirname(path));
  await acquire(path, holder, options);
  const renewal = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined); // taken over: the rename at the end of an install decides
  }, renewEvery);
  renewal.unref();
  try {
    return await action();
  } finally {
    clearInterval(renewal);
    if ((await readHolder(path))?.token === holder.token) await rm(path, { force: true });
  }
}

async function acquire(path: string, holder: Holder, { signal, onWait }: LockOptions): Promise<void> {
  let told = false;
  for (;;) {
    signal?.throwIfAborted();
    if (await create(path, holder)) return;
    if (await isDead(path)) {
      if (await takeOver(path, holder)) return;
      continue;
    }
    if (!told) onWait?.((await readHolder(path))?.pid ?? 0);
    told = true;
    await sleep(pollEvery, undefined, signal ? { signal } : {});
  }
}

async function create(path: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Puts our name over a dead holder's in one rename. Of several that do so at once the last one wins; a pause longer
 * than the moment between looking and renaming lets the others see it.
 */
async function takeOver(path: string, holder: Holder): Promise<boolean> {
  const own = `${path}.${holder.token}`;
  await writeFile(own, JSON.stringify(holder));
  await rename(own, path);
  await sleep(pollEvery);
  return (await readHolder(path))?.token === holder.token;
}

async function isDead(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => undefined);
  if (file === undefined) return false; // released meanwhile: try to create it again
  if (Date.now() - file.mtimeMs > staleAfter) return true;
  const holder = await readHolder(path);
  return holder !== undefined && holder.host === hostname() && !isRunning(holder.pid);
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    return undefined; // gone, or being written
  }
}

/** Whether a process with this id exists on this machine. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
