import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../support/cli.ts';
import { squareClasses, writeSquares } from '../support/squares.ts';

let folder: string;
let config: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  await writeSquares(folder, 8);
  config = join(folder, 'data.yaml');
  const [images, labels] = [join(folder, 'images'), join(folder, 'labels')];
  const parts = {
    TRAIN_IMG: images,
    TRAIN_ANNOT: labels,
    VALID_IMG: images,
    VALID_ANNOT: labels,
  };
  const classes = ['__background__', ...squareClasses];
  const lines = Object.entries({ ...parts, CLASSES: classes }).map(
    ([key, value]) => `${key}: ${JSON.stringify(value)}`,
  );
  await writeFile(config, `${lines.join('\n')}\n`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const train = (outDir: string, onStart: (child: ChildProcess) => void, ...more: string[]) => {
  const small = ['--backbone', 'convnext_test', '--imgsz', '96', '64', '--batch', '4', '--no-plots', '--json'];
  return cli(['train', '--config', config, '--out-dir', outDir, ...small, '--epochs', '1000', ...more], { onStart });
};

/** Calls `act` once when a line of the output has these words. */
const whenSaid = (words: string, act: (child: ChildProcess) => void) => (child: ChildProcess) => {
  const onData = (text: Buffer) => {
    if (!String(text).includes(words)) return;
    child.stdout!.off('data', onData);
    act(child);
  };
  child.stdout!.on('data', onData);
};

const stateOf = async (outDir: string) =>
  JSON.parse(await readFile(join(outDir, 'last', 'checkpoint.json'), 'utf8')).training;

describe.skipIf(process.platform === 'win32')('a training that a signal ends', () => {
  it.each([
    ['SIGTERM', 143, '"event":"step"'],
    ['SIGHUP', 129, '"event":"epoch"'],
  ] as const)('saves "last" and exits by the number of the signal: %s', async (signal, code, moment) => {
    const outDir = join(folder, signal);
    const run = await train(
      outDir,
      whenSaid(moment, (child) => child.kill(signal)),
    );
    expect(run.code, run.error).toBe(code);
    expect(run.error).toContain(`Interrupted: saved ${join(outDir, 'last')}; go on with --resume --out-dir ${outDir}`);
    const steps = run.out.split('\n').filter((line) => line.includes('"event":"step"'));
    const { epoch, step } = await stateOf(outDir);
    expect(2 * epoch + step).toBe(steps.length);
    expect((await readdir(outDir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('leaves nothing where it has not begun', async () => {
    const outDir = join(folder, 'early');
    // Before the first line of ours Node ends by the signal itself, which a shell shows with the same number.
    const run = await train(outDir, (child) => void sleep(1500).then(() => child.kill('SIGTERM')));
    expect([143, null]).toContain(run.code);
    if (existsSync(outDir)) expect((await readdir(outDir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('saves at --save-signal, and goes on', async () => {
    const outDir = join(folder, 'saving');
    const onStart = whenSaid('"event":"step"', async (child) => {
      child.kill('SIGUSR2');
      for (let wait = 0; wait < 1500 && !existsSync(join(outDir, 'last', 'checkpoint.json')); wait++) await sleep(20);
      child.kill('SIGKILL');
    });
    const run = await train(outDir, onStart, '--save-signal', 'SIGUSR2');
    expect(run.code).toBe(null);
    expect(await stateOf(outDir)).toMatchObject({ sums: expect.anything() });
  });

  it('has no use for SIGUSR1, which opens the debugger', async () => {
    const run = await train(join(folder, 'none'), () => {}, '--save-signal', 'usr1');
    expect(run.code).toBe(2);
    expect(run.error).toContain("SIGUSR1 opens Node's debugger. Name another, such as SIGUSR2");
  });
});
