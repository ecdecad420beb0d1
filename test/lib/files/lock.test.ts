import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';

import { isRunning, withLock } from '../../../lib/files/lock.ts';
import { temporaryFolder } from '../libtorch/fake-libtorch.ts';

let path: string;
beforeEach(async () => {
  path = join(await temporaryFolder(), 'deep', 'test.lock');
});

const deadPid = () => spawnSync(process.execPath, ['-e', '0']).pid;

async function leaveLock(holder: { pid: number; host: string }): Promise<void> {
  await withLock(path, {}, async () => undefined); // makes the folder
  await writeFile(path, JSON.stringify({ ...holder, token: 'left behind' }));
}

/** How many of several actions ran at once, at most. */
async function mostAtOnce(count: number): Promise<number> {
  let now = 0;
  let most = 0;
  const action = async () => {
    most = Math.max(most, ++now);
    await sleep(30);
    now--;
  };
  await Promise.all(Array.from({ length: count }, () => withLock(path, {}, action)));
  return most;
}

test('one at a time; the second is told whom it waits for; nothing is left', async () => {
  const waitedFor: number[] = [];
  let isHeld = false;
  const first = withLock(path, {}, async () => {
    isHeld = true;
    await sleep(300);
    isHeld = false;
    return 'first';
  });
  while (!isHeld) await sleep(5);
  const second = withLock(path, { onWait: (pid) => waitedFor.push(pid) }, async () =>
    isHeld ? 'too early' : 'second',
  );
  expect(await Promise.all([first, second])).toEqual(['first', 'second']);
  expect(waitedFor).toEqual([process.pid]);
  expect(await readdir(dirname(path))).toEqual([]);
});

test('several at once never overlap', async () => {
  expect(await mostAtOnce(4)).toBe(1);
});

test('a failure frees it and comes through', async () => {
  await expect(withLock(path, {}, () => Promise.reject(new Error('inner')))).rejects.toThrow('inner');
  expect(existsSync(path)).toBe(false);
});

test('the lock of a dead process is taken over, by one of several', async () => {
  await leaveLock({ pid: deadPid(), host: hostname() });
  expect(await mostAtOnce(4)).toBe(1);
  expect(await readdir(dirname(path))).toEqual([]);
});

test('a lock that nobody renews is taken over, whoever holds it', async () => {
  await leaveLock({ pid: process.pid, host: 'another machine' });
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(path, longAgo, longAgo);
  expect(await withLock(path, {}, async () => 'mine')).toBe('mine');
});

test('the lock of another machine or of a live process is waited for until aborted', async () => {
  for (const holder of [
    { pid: deadPid(), host: 'another machine' },
    { pid: process.pid, host: hostname() },
  ]) {
    await leaveLock(holder);
    const action = async () => 'taken';
    await expect(withLock(path, { signal: AbortSignal.timeout(500) }, action)).rejects.toThrow(/abort/i);
    expect(existsSync(path)).toBe(true);
    await writeFile(path, JSON.stringify({ pid: deadPid(), host: hostname(), token: '' }));
  }
});

test('knows which processes run', () => {
  expect(isRunning(process.pid)).toBe(true);
  expect(isRunning(deadPid())).toBe(false);
});
