import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { temporaryFolder } from '../../support/voc.ts';

const options = {
  classes: squareClasses,
  backbone: 'convnext_test',
  imageSize: { width: 96, height: 64 },
} satisfies DetectorOptions;

async function prepare() {
  const folder = await temporaryFolder();
  const data = await openSquares(folder, 24);
  const runIn = (name: string, more: Partial<TrainerOptions> = {}): TrainerOptions => ({
    ...{ train: data, valid: data, outDir: join(folder, name), batchSize: 2, epochs: 2, multiscale: [0.5, 2] },
    ...more,
  });
  return { folder, data, runIn };
}

const sha = async (dir: string) =>
  JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')).files['model.safetensors'].sha256 as string;

describe.each([
  ['article', { preset: 'article' }],
  ['a pyramid', {}],
  ['dense', { preset: 'dense', resize: 'letterbox' }],
] as const)('a multi-scale training of %s', (_, model) => {
  it('goes on bit for bit, and detects at the size of the model', async () => {
    const { runIn, data } = await prepare();
    await using whole = await Detector.create({ ...options, ...model });
    const uninterrupted = runIn('whole', { fineTune: true });
    await new Trainer(whole, uninterrupted).run();
    expect((await whole.detect(data.samples[0]!.imagePath, { scoreThreshold: 0 })).length).toBeGreaterThan(0);

    await using first = await Detector.create({ ...options, ...model });
    const stop = new AbortController();
    const parts = runIn('parts', { fineTune: true });
    const interrupted = new Trainer(first, parts).run({
      signal: stop.signal,
      onStep: ({ epoch, step }) => {
        if (epoch === 2 && step === 5) stop.abort();
      },
    });
    await expect(interrupted).rejects.toThrow();
    await using second = await Detector.load(join(parts.outDir, 'last'), { asTrained: true });
    const { multiscale: __, ...withoutIt } = runIn('parts', { resume: true });
    await new Trainer(second, withoutIt).run();
    expect(await sha(join(parts.outDir, 'last'))).toBe(await sha(join(uninterrupted.outDir, 'last')));
  }, 180_000);
});

describe('multiscale', () => {
  it('trains RetinaNet too', async () => {
    const { runIn, data } = await prepare();
    const few = { ...data, samples: data.samples.slice(0, 6), length: 6 };
    await using detector = await Detector.create({ ...options, head: 'retinanet' });
    const run = runIn('retinanet', { train: few, valid: few, multiscale: [0.67, 1], epochs: 2 });
    await expect(new Trainer(detector, run).run()).resolves.toBeDefined();
  }, 180_000);

  it.each([[[1.5, 0.5]], [[0, 1]], [[1, 9]], [[1]], ['0.5-1.5'], [1]])('refuses %j', async (multiscale) => {
    const { runIn } = await prepare();
    await using detector = await Detector.create(options);
    expect(() => new Trainer(detector, runIn('never', { multiscale } as never))).toThrow(/multiscale/);
  });

  it('refuses a range without a multiple of 32', async () => {
    const { runIn } = await prepare();
    await using detector = await Detector.create(options);
    expect(() => new Trainer(detector, runIn('never', { multiscale: [1.02, 1.2] }))).toThrow(
      /multiple of 32.*96 x 64.*widen the range/,
    );
  });

  it('is another run: a checkpoint does not go on with other sizes', async () => {
    const { runIn } = await prepare();
    await using detector = await Detector.create(options);
    await new Trainer(detector, runIn('run', { epochs: 1 })).run();
    await using loaded = await Detector.load(join(runIn('run').outDir, 'last'), { asTrained: true });
    const resumed = new Trainer(loaded, runIn('run', { multiscale: [0.5, 1], resume: true })).run();
    await expect(resumed).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
  }, 60_000);
});

describe('class weights', () => {
  it('change what is learned, and are kept by name', async () => {
    const { runIn } = await prepare();
    const losses: number[] = [];
    for (const classWeights of [null, [1, 1], [4, 1], 'balanced'] as const) {
      await using detector = await Detector.create(options);
      const name = `run-${String(classWeights)}`;
      const trainer = new Trainer(detector, runIn(name, { epochs: 1, classWeights, multiscale: null }));
      await trainer.run({
        onStep: ({ step, classLoss }) => {
          if (step === 1) losses.push(classLoss);
        },
      });
      const { training } = JSON.parse(await readFile(join(runIn(name).outDir, 'last', 'checkpoint.json'), 'utf8'));
      expect(training.options.classWeights).toEqual(classWeights ?? undefined);
    }
    expect(losses[1]).toBe(losses[0]);
    expect(losses[2]).toBeGreaterThan(losses[0]!);
  }, 120_000);

  it('of other numbers than the classes are refused before a file is touched', async () => {
    const { runIn } = await prepare();
    await using detector = await Detector.create(options);
    expect(() => new Trainer(detector, runIn('never', { classWeights: [1, 2, 3] }))).toThrow(
      /2 numbers, one for each of red, blue.*3 numbers/,
    );
  });
});
