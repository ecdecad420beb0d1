import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { type EpochRecord, RunDirectory, type StepRecord } from '../../../lib/training/run-directory.ts';

let dir: string;
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'run-')), 'train');
});

const STEPS = 3;
const step = (epoch: number, step: number): StepRecord => ({
  type: 'step',
  epoch,
  step,
  steps: STEPS,
  loss: 10 / (epoch + step),
  boxLoss: 1,
  classLoss: 2,
  gradientNorm: 3,
  learningRate: 0.001,
  seconds: 0.5,
});
const epoch = (number: number): EpochRecord => ({
  type: 'epoch',
  epoch: number,
  trainLoss: 5 / number,
  boxLoss: 1,
  classLoss: 2,
  learningRate: 0.001,
  map: 0.1 * number,
  map50: 0.25,
  seconds: 60,
  note: 'more',
});

/** Records from the step after `done` to the end of the last epoch. */
async function train(run: RunDirectory, epochs: number, done = { epoch: 0, step: 0 }): Promise<void> {
  for (let e = done.epoch + 1; e <= epochs; e++) {
    for (let s = e === done.epoch + 1 ? done.step + 1 : 1; s <= STEPS; s++) await run.appendMetrics(step(e, s));
    await run.appendMetrics(epoch(e));
  }
}
const contents = async () => ({
  metrics: await readFile(join(dir, 'metrics.jsonl'), 'utf8'),
  results: await readFile(join(dir, 'results.csv'), 'utf8'),
});

describe('RunDirectory', () => {
  it('keeps a line of JSON per record and a line of CSV per epoch', async () => {
    const run = await RunDirectory.open(dir);
    await train(run, 2);
    const { metrics, results } = await contents();
    const records = metrics
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(records).toEqual([
      step(1, 1),
      step(1, 2),
      step(1, 3),
      epoch(1),
      step(2, 1),
      step(2, 2),
      step(2, 3),
      epoch(2),
    ]);
    expect(results).toBe(
      'epoch,trainLoss,boxLoss,classLoss,learningRate,map,map50,seconds\n' +
        '1,5,1,2,0.001,0.1,0.25,60\n' +
        '2,2.5,1,2,0.001,0.2,0.25,60\n',
    );
    expect(run.epochs).toEqual([epoch(1), epoch(2)]);
  });

  it.each([
    { epoch: 2, step: 0 },
    { epoch: 1, step: 2 },
    { epoch: 0, step: 1 },
    { epoch: 0, step: 0 },
  ])('ends a run resumed at %o with the files of one that was never interrupted', async (resume) => {
    await train(await RunDirectory.open(dir), 4);
    const uninterrupted = await contents();
    dir = join(dir, '..', 'interrupted');
    await train(await RunDirectory.open(dir), 3);
    await appendFile(join(dir, 'metrics.jsonl'), '{"type":"epoch","epo');
    await train(await RunDirectory.open(dir, { resume }), 4, resume);
    expect(await contents()).toEqual(uninterrupted);
  });

  it('has the lines in the order of the epochs where one is evaluated while the next is trained', async () => {
    await train(await RunDirectory.open(dir), 3);
    const inOrder = await contents();
    dir = join(dir, '..', 'overlapped');
    const run = await RunDirectory.open(dir);
    for (const e of [1, 2, 3]) {
      await run.appendMetrics(step(e, 1));
      const late = e === 1 ? [] : [run.appendMetrics(epoch(e - 1))];
      await Promise.all([...late, run.appendMetrics(step(e, 2)), run.appendMetrics(step(e, 3))]);
    }
    await run.appendMetrics(epoch(3));
    expect(await contents()).toEqual(inOrder);
    expect(run.epochs).toHaveLength(3);
  });

  it('keeps steps of a resumed run in their order, also where the records of the epochs before are gone', async () => {
    const run = await RunDirectory.open(dir, { resume: { epoch: 2, step: 1 } });
    await run.appendMetrics(step(3, 2));
    await run.appendMetrics(step(4, 1));
    expect((await contents()).metrics).toBe(`${JSON.stringify(step(3, 2))}\n`);
    await run.appendMetrics(epoch(3));
    const lines = [step(3, 2), epoch(3), step(4, 1)].map((record) => `${JSON.stringify(record)}\n`);
    expect((await contents()).metrics).toBe(lines.join(''));
  });

  it('writes a line that could not be written with the next one', async () => {
    const run = await RunDirectory.open(dir);
    await rm(dir, { recursive: true });
    await expect(run.appendMetrics(step(1, 1))).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await mkdir(dir);
    await run.appendMetrics(step(1, 2));
    const lines = [step(1, 1), step(1, 2)].map((record) => `${JSON.stringify(record)}\n`);
    expect(await readFile(join(dir, 'metrics.jsonl'), 'utf8')).toBe(lines.join(''));
  });

  it('draws plots, also of a run that has only begun', async () => {
    const run = await RunDirectory.open(dir);
    await run.writePlots();
    await train(run, 3);
    await run.writePlots();
    for (const name of ['train_loss.png', 'map.png']) {
      expect(await sharp(join(dir, name)).metadata()).toMatchObject({ format: 'png', width: 900, height: 560 });
    }
    expect((await readdir(dir)).sort()).toEqual(['map.png', 'metrics.jsonl', 'results.csv', 'train_loss.png']);
  });

  it('writes the configuration as JSON', async () => {
    const run = await RunDirectory.open(dir);
    await run.writeConfig({ epochs: 3, classes: ['a'] });
    expect(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))).toEqual({ epochs: 3, classes: ['a'] });
  });

  it('does not overwrite an earlier run, nor a file of another origin', async () => {
    await train(await RunDirectory.open(dir), 1);
    const before = await contents();
    await expect(RunDirectory.open(dir)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await expect(RunDirectory.open(dir)).rejects.toThrow('metrics.jsonl');
    expect(await contents()).toEqual(before);

    dir = join(dir, '..');
    await writeFile(join(dir, 'config.json'), 'mine');
    await expect(RunDirectory.open(dir, { resume: { epoch: 1, step: 0 } })).rejects.toThrow('config.json');
    expect(await readFile(join(dir, 'config.json'), 'utf8')).toBe('mine');
  });

  it('leaves other files alone', async () => {
    dir = join(dir, '..');
    await writeFile(join(dir, 'notes.txt'), 'mine');
    await train(await RunDirectory.open(dir), 1);
    expect(await readFile(join(dir, 'notes.txt'), 'utf8')).toBe('mine');
  });

  it('names a directory that cannot be written', async () => {
    await writeFile(dir, 'a file');
    const path = join(dir, 'run');
    await expect(RunDirectory.open(path)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await expect(RunDirectory.open(path)).rejects.toThrow(path);
  });
});
