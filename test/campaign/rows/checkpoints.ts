import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isWriteFailure } from '../../../lib/files/atomic-file.ts';
import { withFaults } from '../file-faults.ts';
import { type Row, repeat, type Trial } from '../row.ts';
import { careless, openCareless, openWhole, whole } from '../savers.ts';

const child = fileURLToPath(new URL('../saving-child.ts', import.meta.url));

/** Kills a process that saves, again and again, over the same directory. */
function kills(trial: Trial, saver: 'whole' | 'careless', open: (dir: string) => Promise<number>) {
  const dir = join(trial.folder, saver);
  return repeat(trial, async () => {
    const saving: ChildProcess = fork(child, [dir, saver], { execArgv: ['--import', 'tsx'] });
    const exited = once(saving, 'exit');
    let [saved] = (await once(saving, 'message')) as [number];
    saving.on('message', (number: number) => {
      saved = number;
    });
    await sleep(60 * trial.random());
    saving.kill('SIGKILL');
    await exited;
    const found = await open(dir);
    if (found < saved) throw new Error(`save ${saved} was told, and ${found} is there`);
  });
}

/** Cuts the power before each operation of a save in turn; what is written last may be torn. */
function crashes(trial: Trial, save: typeof whole, open: typeof openWhole) {
  const cut = new Error('power cut');
  return repeat(
    trial,
    async (index) => {
      const dir = join(trial.folder, `crash-${index}`);
      await save(dir, 1);
      const torn = index % 2 === 1;
      await withFaults(
        async (at, name, args) => {
          if (at < index >> 1) return;
          if (torn && at === index >> 1 && name === 'writeFile') {
            await writeTorn(args[0] as string, String(args[1]));
          }
          throw cut;
        },
        () => save(dir, 2).catch(() => {}),
      );
      const found = await open(dir);
      if (![1, 2].includes(found)) throw new Error(`neither the old nor the new one, but ${found}`);
      await save(dir, 3);
      if ((await open(dir)) !== 3) throw new Error('the next save did not come through');
      await rm(dir, { recursive: true });
    },
    80,
  );
}

/** A part of a file, by a door that no fault guards. */
async function writeTorn(path: string, content: string): Promise<void> {
  const { writeFileSync } = await import('node:fs');
  writeFileSync(path, content.slice(0, content.length >> 1));
}

const CODES = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EMFILE'];

/** `operations`: as many as a save has, or a few more. */
function failures(trial: Trial, save: typeof whole, open: typeof openWhole, operations: number) {
  return repeat(trial, async (index) => {
    const dir = join(trial.folder, `error-${index}`);
    await save(dir, 1);
    const [at, code] = [trial.below(operations), trial.pick(CODES)];
    const fault = (index: number) => {
      if (index === at) throw Object.assign(new Error(`${code}: not now`), { code });
    };
    const error = await withFaults(fault, () => save(dir, 2)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error !== undefined && !isWriteFailure(error))
      throw new Error(`${code} at ${at} has no code of ours: ${error}`);
    await open(dir);
    await save(dir, 3);
    if ((await open(dir)) !== 3) throw new Error('the next save did not come through');
    await rm(dir, { recursive: true });
  });
}

/** Flips one bit of a checkpoint; every other try flips none, and has to pass. */
function flips(trial: Trial, open: typeof openWhole, save: typeof whole) {
  const dir = join(trial.folder, 'flipped');
  return repeat(trial, async (index) => {
    if (index === 0) await save(dir, 1);
    const path = join(dir, trial.pick(['checkpoint.json', 'checkpoint.json', 'model.safetensors']));
    const bytes = await readFile(path);
    const flipped = Buffer.from(bytes);
    const isFlipped = index % 4 !== 0;
    if (isFlipped) flipped[trial.below(bytes.length)]! ^= 1 << trial.below(8);
    await writeFile(path, flipped);
    const accepted = await open(dir).then(
      () => true,
      () => false,
    );
    await writeFile(path, bytes);
    if (accepted === isFlipped)
      throw new Error(isFlipped ? `accepted with a flipped bit in ${path}` : 'refused, and sound');
  });
}

export const checkpointRows: Row[] = [
  {
    name: 'kill-save',
    what: 'SIGKILL of a process that saves; the checkpoint is whole, and not older than told',
    run: (trial) => kills(trial, 'whole', openWhole),
    control: (trial) => kills(trial, 'careless', openCareless),
  },
  {
    name: 'crash-points',
    what: 'the power is cut before each file operation of a save, the last write torn or not',
    run: (trial) => crashes(trial, whole, openWhole),
    control: (trial) => crashes(trial, careless, openCareless),
  },
  {
    name: 'io-errors',
    what: 'the n-th file operation of a save fails with ENOSPC, EDQUOT, EIO, EROFS, EACCES or EMFILE',
    run: (trial) => failures(trial, whole, openWhole, 30),
    control: (trial) => failures(trial, careless, openCareless, 4),
  },
  {
    name: 'flipped-bits',
    what: 'one bit of a checkpoint is flipped: refused; every fourth try flips none: accepted',
    run: (trial) => flips(trial, openWhole, whole),
    control: (trial) =>
      flips(trial, async (dir) => JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')), whole),
  },
];
