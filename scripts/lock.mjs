// The lock of lib/files/lock.ts for set-up itself, which runs before TypeScript is compiled: one process at a time.
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const renewEvery = 5_000;
const staleAfter = 30_000;
const pollEvery = 200;

/** Runs `action` while no other process runs one under the same lock file; `onWait` is called once if it has to wait. */
export async function withLock(path, onWait, action) {
  const own = `${process.pid}-${Date.now()}`;
  for (let isTold = false; !(await acquire(path, own)); isTold = true) {
    if (!isTold) onWait(Number.parseInt(holderOf(path), 10));
    await sleep(pollEvery);
  }
  const renewal = setInterval(() => tryTo(() => utimesSync(path, new Date(), new Date())), renewEvery);
  try {
    return await action();
  } finally {
    clearInterval(renewal);
    if (holderOf(path) === own) rmSync(path, { force: true });
  }
}

async function acquire(path, own) {
  if (tryTo(() => writeFileSync(path, own, { flag: 'wx' }))) return true;
  if (!isDead(path)) return false;
  // Of several that take over at once the last rename wins, and the pause lets the others see it.
  writeFileSync(`${path}.${own}`, own);
  renameSync(`${path}.${own}`, path);
  await sleep(pollEvery);
  return holderOf(path) === own;
}

function isDead(path) {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) return false;
  const pid = Number.parseInt(holderOf(path), 10);
  return Date.now() - file.mtimeMs > staleAfter || (pid > 0 && !tryTo(() => process.kill(pid, 0), 'ESRCH'));
}

function holderOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Whether it succeeded; with a code, whether it did not fail with just that one. */
function tryTo(action, code) {
  try {
    action();
    return true;
  } catch (error) {
    if (code === undefined && !['EEXIST', 'ENOENT'].includes(error.code)) throw error;
    return code !== undefined && error.code !== code;
  }
}
