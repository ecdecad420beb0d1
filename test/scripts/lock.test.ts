import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const module = JSON.stringify(new URL('../../scripts/lock.mjs', import.meta.url).href);

/** A process that writes `in`, waits and writes `out` under the lock. */
function contender(folder: string): Promise<number | null> {
  const script = `
    import { appendFileSync } from 'node:fs';
    import { withLock } from ${module};
    await withLock('${folder}/lock', () => appendFileSync('${folder}/waits', 'w'), async () => {
      appendFileSync('${folder}/log', 'in ');
      await new Promise((resolve) => setTimeout(resolve, 150));
      appendFileSync('${folder}/log', 'out ');
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return new Promise((resolve) => child.on('close', resolve));
}

test.each([{ holder: 'nobody' }, { holder: 'a dead process' }])(
  'set-ups take turns; held before by $holder',
  async ({ holder }) => {
    const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-lock-'));
    const deadPid = spawnSync(process.execPath, ['-e', '0']).pid;
    if (holder !== 'nobody') await writeFile(join(folder, 'lock'), `${deadPid}-1`);
    expect(await Promise.all([contender(folder), contender(folder), contender(folder)])).toEqual([0, 0, 0]);
    expect(await readFile(join(folder, 'log'), 'utf8')).toBe('in out in out in out ');
    expect((await readdir(folder)).sort()).toEqual(['log', 'waits']);
  },
);
