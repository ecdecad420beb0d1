import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeDirectory } from './atomic-file.ts';

export type LockOptions = {
  signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock. What it throws ends the wait. */
  onWait?: ((pid: number, host: string) => void) | undefined;
};

/** Gives the lock back. */
export type Release = () => Promise<void>;

/** A holder renews its lock this often; one of another machine that is not renewed for `staleAfter` is dead. */
const renewEvery = 5_000;
const staleAfter = 30_000;
const pollEvery = 200;
/** A lock file without content: its maker died between making and writing it. */
const emptyAfter = 2_000;

/** Who holds a lock. `started` tells a process from a later one with the same id; it is known on Linux. */
type Holder = { pid: number; started?: string | undefined; host: string; token: string };

/** Locks of this process whose files could not be removed. */
const abandoned = new Set<string>();

/** Runs `action` while no other process runs one under the same lock file; waits for its turn. */
export async function withLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  const release = await takeLock(path, options);
  try {
    return await action();
  } finally {
    await release();
  }
}

/** Takes a lock; waits while a process that runs still holds it. */
export async function takeLock(path: string, options: LockOptions = {}): Promise<Release> {
  const own = { pid: process.pid, started: await startOf(process.pid), host: hostname(), token: randomUUID() };
  await makeDirectory(dirname(path));
  await acquire(path, own, options);
  const renewal = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined); // taken over, or the disk is away for a moment
  }, renewEvery);
  renewal.unref();
  return async () => {
    clearInterval(renewal);
    if ((await readHolder(path))?.token !== own.token) return;
    await rm(path, { force: true }).catch(() => abandoned.add(own.token));
  };
}

async function acquire(path: string, own: Holder, { signal, onWait }: LockOptions): Promise<void> {
  let told = false;
  for (;;) {
    signal?.throwIfAborted();
    if (await create(path, own)) return;
    if (await isDead(path)) {
      if (await takeOver(path, own)) return;
      continue;
    }
    const holder = told ? undefined : await readHolder(path);
    if (holder) {
      told = true;
      onWait?.(holder.pid, holder.host);
    }
    await sleep(pollEvery, undefined, signal ? { signal } : {});
  }
}

async function create(path: string, own: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(own), { flag: 'wx' });
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
async function takeOver(path: string, own: Holder): Promise<boolean> {
  const temporary = `${path}.${own.token}`;
  await writeFile(temporary, JSON.stringify(own));
  await rename(temporary, path);
  await sleep(pollEvery);
  return (await readHolder(path))?.token === own.token;
}

async function isDead(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => undefined);
  if (file === undefined) return false; // released meanwhile: try to create it again
  const age = Date.now() - file.mtimeMs;
  const holder = await readHolder(path);
  if (holder === undefined) return age > emptyAfter;
  if (holder.host !== hostname()) return age > staleAfter;
  return abandoned.has(holder.token) || !(await stillRuns(holder));
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    return undefined; // gone, or being written
  }
}

/** Whether the holder is the process of this machine that has its id now. */
async function stillRuns({ pid, started }: Holder): Promise<boolean> {
  if (!isRunning(pid)) return false;
  const now = started === undefined ? undefined : await startOf(pid);
  return now === undefined || now === started;
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

/** When a process was started, in ticks since the system was, and which start of the system that was. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const [status, boot] = await Promise.all(
      [`/proc/${pid}/stat`, '/proc/sys/kernel/random/boot_id'].map((path) => readFile(path, 'utf8')),
    );
    // The name of the program, in brackets, may hold anything; of what follows it the start is the 20th.
    return `${boot!.trim()} ${status!.slice(status!.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return undefined;
  }
}
