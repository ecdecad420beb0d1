import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import type { EpochEvent, StepEvent, TrainingHooks } from '../../../lib/training/training-events.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const createDetector = () =>
  Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 } });

/** A detector, its data, and the options of a short run. */
async function prepare(epochs = 2, count = 10) {
  const folder = await temporaryFolder();
  const train = await openSquares(folder, count);
  const options: TrainerOptions = {
    train,
    valid: train,
    outDir: join(folder, 'run'),
    epochs,
    batchSize: 4,
    learningRate: 1e-3,
    fineTune: true,
    milestones: [1],
  };
  return { folder, train, options, outDir: options.outDir };
}

const sha = async (dir: string, file: string) =>
  JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')).files[file].sha256 as string;

async function metrics(outDir: string) {
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

/** Records without what depends on the clock. */
const timeless = (records: Record<string, unknown>[]) => records.map(({ seconds: _, ...record }) => record);

describe('Trainer.run', () => {
  it.each(['none', 'fpn'] as const)('learns with the preset best: fusion %s', async (fusion) => {
    const { options, outDir } = await prepare(6);
    const model = { classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 } } as const;
    await using detector = await Detector.create({ ...model, preset: 'best', fusion });
    await new Trainer(detector, { ...options, milestones: [] }).run();
    const losses = (await metrics(outDir)).filter(({ type }) => type === 'epoch').map(({ trainLoss }) => trainLoss);
    expect(losses.at(-1)).toBeLessThan(0.85 * losses[0]);
    await using best = await Detector.load(join(outDir, 'best'));
    expect(best.config).toEqual(detector.config);
  });

  it('reports steps and epochs, lowers the rate at the milestone, and writes the run directory', async () => {
    const { options, outDir } = await prepare();
    await using detector = await createDetector();
    const steps: StepEvent[] = [];
    const epochs: EpochEvent[] = [];
    const result = await new Trainer(detector, options).run({
      onStep: (event) => steps.push(event),
      onEpoch: (event) => void epochs.push(event),
    });

    expect(steps.map(({ epoch, step, steps, images }) => [epoch, step, steps, images])).toEqual([
      [1, 1, 3, 4],
      [1, 2, 3, 4],
      [1, 3, 3, 2],
      [2, 1, 3, 4],
      [2, 2, 3, 4],
      [2, 3, 3, 2],
    ]);
    for (const { loss, boxLoss, classLoss } of steps) expect(loss).toBeCloseTo(boxLoss + classLoss, 4);
    const mean = steps.slice(0, 3).reduce((sum, { loss }) => sum + loss, 0) / 3;
    expect(epochs[0]!.trainLoss).toBeCloseTo(mean, 9);
    expect(epochs.map(({ learningRate, nextLearningRate }) => [learningRate, nextLearningRate])).toEqual([
      [1e-3, 1e-4],
      [1e-4, 1e-4],
    ]);
    expect(result).toMatchObject({ epochs: 2, outDir, bestEpoch: epochs[1]!.bestEpoch });
    expect(Object.keys(result)).not.toContain('stoppedEarly');

    const records = await metrics(outDir);
    expect(records.map(({ type }) => type).join(' ')).toBe('step step step epoch step step step epoch');
    const { map, map50, trainLoss, evaluation } = epochs[0]!;
    expect(records[3]).toMatchObject({ epoch: 1, trainLoss, map, map50, compat: evaluation.compat });
    expect({ map, map50 }).toEqual({ map: evaluation.coco.ap, map50: evaluation.coco.ap50 });
    expect(result.bestScore).toBe(Math.max(...epochs.map(({ score }) => score)));
    expect((await readFile(join(outDir, 'results.csv'), 'utf8')).trim().split('\n')).toHaveLength(3);
    for (const plot of ['train_loss.png', 'map.png']) {
      expect((await readFile(join(outDir, plot))).subarray(1, 4).toString()).toBe('PNG');
    }
    expect(JSON.parse(await readFile(join(outDir, 'config.json'), 'utf8'))).toMatchObject({
      classes: ['__background__', ...squareClasses],
      model: { backbone: 'convnext_test' },
      training: { epochs: 2, batchSize: 4, optimizer: 'adamw' },
    });
  });

  it('draws no plots where they are not wanted', async () => {
    const { options, outDir } = await prepare(1, 4);
    await using detector = await createDetector();
    await new Trainer(detector, { ...options, plots: false }).run();
    expect((await readdir(outDir)).sort()).toEqual([
      'best',
      'config.json',
      'last',
      'metrics.jsonl',
      'results.csv',
      'settings.yaml',
    ]);
  });

  it('learns: the loss falls, and the trained detector finds what it was trained on', async () => {
    const { options, train } = await prepare(25, 8);
    await using detector = await createDetector();
    const losses: number[] = [];
    let last: EpochEvent | undefined;
    await new Trainer(detector, { ...options, milestones: [20] }).run({
      onEpoch: (event) => {
        losses.push(event.trainLoss);
        last = event;
      },
    });
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 3);
    expect(last!.map50).toBeGreaterThan(0.5);
    const [best] = await detector.detect(train.samples[0]!.imagePath, { scoreThreshold: 0.3 });
    expect(best).toMatchObject({ label: 'red' });
  });

  it('a run that was interrupted and resumed ends bit for bit as one that was not', async () => {
    const whole = await prepare();
    await using first = await createDetector();
    await new Trainer(first, whole.options).run();

    for (const [epoch, step] of [
      [1, 2],
      [2, 3],
    ]) {
      const part = await prepare();
      await using second = await createDetector();
      const abort = new AbortController();
      const reason = new Error('enough');
      const run = new Trainer(second, part.options).run({
        signal: abort.signal,
        onStep: (event) => {
          if (event.epoch === epoch && event.step === step) abort.abort(reason);
        },
      });
      await expect(run).rejects.toBe(reason);

      await using third = await createDetector();
      await new Trainer(third, { ...part.options, resume: true }).run();
      for (const file of ['model.safetensors', 'optimizer.safetensors']) {
        expect(await sha(join(part.outDir, 'last'), file)).toBe(await sha(join(whole.outDir, 'last'), file));
      }
      expect(timeless(await metrics(part.outDir))).toEqual(timeless(await metrics(whole.outDir)));
    }
  });

  it('with augmentation, resumed or not, is the same too; its last epoch goes without', async () => {
    const augmentation = { photometricDistort: {}, zoomOut: {}, iouCrop: {}, mosaic: {}, mixup: {}, offForLast: 0.5 };
    const trained = async (interruptAt?: number) => {
      const { options, outDir } = await prepare();
      await using detector = await createDetector();
      const abort = new AbortController();
      const hooks = { signal: abort.signal, onStep: ({ step }: StepEvent) => step === interruptAt && abort.abort() };
      const run = new Trainer(detector, { ...options, augmentation }).run(hooks as TrainingHooks);
      if (interruptAt === undefined) await run;
      else {
        await expect(run).rejects.toMatchObject({ name: 'AbortError' });
        const workers = 5; // is nothing that a run depends on
        await new Trainer(detector, { ...options, augmentation, workers, resume: true }).run();
      }
      return { outDir, weights: await sha(join(outDir, 'last'), 'model.safetensors') };
    };
    const whole = await trained();
    expect(await trained(2)).toMatchObject({ weights: whole.weights });
    const { training } = JSON.parse(await readFile(join(whole.outDir, 'config.json'), 'utf8'));
    expect(training.augmentation).toMatchObject({ zoomOut: { p: 0.5, sideRange: [1, 4] }, offForLast: 0.5 });
    const { options, outDir } = await prepare();
    await using detector = await createDetector();
    await new Trainer(detector, options).run();
    expect(await sha(join(outDir, 'last'), 'model.safetensors')).not.toBe(whole.weights);
    const plain = JSON.parse(await readFile(join(outDir, 'config.json'), 'utf8'));
    expect(Object.keys(plain.training)).not.toContain('augmentation');
  });

  it('with everything that optimisation knows, resumed in the middle, ends bit for bit the same', async () => {
    const given: Partial<TrainerOptions> = {
      ...{ milestones: [], schedule: 'flat-cosine', warmupSteps: 2, flatFraction: 0.4, finalLearningRateFactor: 0.1 },
      ...{ weightDecay: 0.05, decayWeightsOnly: true, backboneLearningRateFactor: 0.5, layerDecay: 0.8 },
      ...{ batchSize: 2, accumulate: 2, clipGradNorm: 1, ema: 0.9, dropPath: 0.6, patience: 9 },
    };
    const whole = await prepare();
    await using first = await createDetector();
    const steps: StepEvent[] = [];
    const events: EpochEvent[] = [];
    await new Trainer(first, { ...whole.options, ...given }).run({
      onStep: (event) => steps.push(event),
      onEpoch: (event) => void events.push(event),
    });
    expect(steps.map(({ step, images }) => [step, images])).toEqual(
      [1, 2].flatMap(() => [
        [1, 4],
        [2, 4],
        [3, 2],
      ]),
    );
    expect(steps.map(({ learningRate }) => learningRate)).toEqual(
      [1e-6, 5.005e-4, 1e-3, 8.6819805153e-4, 5.5e-4, 2.3180194847e-4].map((rate) => expect.closeTo(rate, 12)),
    );
    const rates = events.map(({ learningRate, nextLearningRate }) => [learningRate, nextLearningRate]);
    expect(rates[0]).toEqual([steps[2]!.learningRate, steps[3]!.learningRate]);
    expect(rates[1]).toEqual([steps[5]!.learningRate, expect.closeTo(1e-4, 12)]);
    const { training } = JSON.parse(await readFile(join(whole.outDir, 'config.json'), 'utf8'));
    expect(training).toMatchObject(given);

    const part = await prepare();
    await using second = await createDetector();
    const abort = new AbortController();
    const onStep = ({ epoch, step }: StepEvent) => epoch === 2 && step === 1 && abort.abort();
    const hooks = { signal: abort.signal, onStep } as TrainingHooks;
    const run = new Trainer(second, { ...part.options, ...given }).run(hooks);
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    await using third = await createDetector();
    await new Trainer(third, { ...part.options, ...given, resume: true }).run();
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      expect(await sha(join(part.outDir, 'last'), file)).toBe(await sha(join(whole.outDir, 'last'), file));
    }
    expect(timeless(await metrics(part.outDir))).toEqual(timeless(await metrics(whole.outDir)));
  });

  it('the moving average is what is evaluated, saved, and left in the detector', async () => {
    const { options, outDir, train } = await prepare(1);
    await using detector = await createDetector();
    let map: number | undefined;
    await new Trainer(detector, { ...options, ema: 0.5 }).run({
      onEpoch: (event) => {
        map = event.map;
      },
    });
    await detector.save(join(outDir, 'now'));
    const [now, last, best] = await Promise.all(
      ['now', 'last', 'best'].map((name) => sha(join(outDir, name), 'model.safetensors')),
    );
    expect([last, best]).toEqual([now, now]);
    const evaluator = new Evaluator(train);
    await using loaded = await Detector.load(join(outDir, 'best'));
    expect((await evaluator.evaluate(loaded)).map).toBe(map);

    const plain = await prepare(1);
    await using other = await createDetector();
    await new Trainer(other, plain.options).run();
    expect(await sha(join(plain.outDir, 'last'), 'model.safetensors')).not.toBe(last);
  });

  it('stops early when the score has not been better for so many epochs, and stays so when it is resumed', async () => {
    const { options, outDir } = await prepare(9);
    await using detector = await createDetector();
    const epochs: EpochEvent[] = [];
    // Nothing is learned at this rate: the first epoch is the best.
    const still = { ...options, learningRate: 1e-30, milestones: [], patience: 2 };
    const result = await new Trainer(detector, still).run({ onEpoch: (event) => void epochs.push(event) });
    expect(result).toMatchObject({ epochs: 3, bestEpoch: 1, stoppedEarly: true });
    expect(epochs.map(({ best }) => best)).toEqual([true, false, false]);
    const onStep = () => expect.fail('no step is left');
    expect(await new Trainer(detector, { ...still, resume: true }).run({ onStep })).toMatchObject({ epochs: 3 });
    const longer = await new Trainer(detector, { ...still, patience: 3, resume: true }).run();
    expect(longer).toMatchObject({ epochs: 4, bestEpoch: 1, outDir });
  });

  it('trains on images that lost every object, which are background', async () => {
    const { options } = await prepare(1);
    await using detector = await createDetector();
    const steps: StepEvent[] = [];
    const augmentation = { scaleJitter: { scaleRange: [60, 60] as const }, offForLast: 0 };
    await new Trainer(detector, { ...options, augmentation }).run({ onStep: (event) => steps.push(event) });
    expect(steps).toHaveLength(3);
    for (const { loss } of steps) expect(Number.isFinite(loss)).toBe(true);
    expect(steps.some(({ boxLoss }) => boxLoss === 0)).toBe(true);
  });

  it('takes the options of the run that it resumes, where none are given', async () => {
    const { options, outDir } = await prepare(1);
    const { train, valid } = options;
    await using detector = await createDetector();
    const first = new Trainer(detector, { ...options, ema: 0.9, decayWeightsOnly: true });
    await first.run();
    await using resumed = await Detector.load(join(outDir, 'last'));
    const trainer = new Trainer(resumed, { train, valid, outDir, epochs: 2, resume: true });
    await trainer.run();
    expect(trainer.options).toEqual({ ...first.options, epochs: 2 });
    expect(trainer.options).toMatchObject({ ema: 0.9, batchSize: options.batchSize });
    expect((await metrics(outDir)).filter(({ type }) => type === 'epoch')).toHaveLength(2);
  });

  it('an abort during the evaluation is resumed with the evaluation', async () => {
    const { options, outDir } = await prepare(1);
    await using detector = await createDetector();
    const abort = new AbortController();
    const run = new Trainer(detector, options).run({ signal: abort.signal, onEvaluate: () => abort.abort() });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    await using resumed = await createDetector();
    const steps: StepEvent[] = [];
    const result = await new Trainer(resumed, { ...options, resume: true }).run({
      onStep: (event) => steps.push(event),
    });
    expect(steps).toEqual([]);
    expect(result.bestEpoch).toBe(1);
    expect((await metrics(outDir)).filter(({ type }) => type === 'epoch')).toHaveLength(1);
  });

  it('a loss that is not finite ends the run; the weights before that step are in the detector and in last', async () => {
    const { options, outDir } = await prepare();
    await using detector = await createDetector();
    const steps: StepEvent[] = [];
    const run = new Trainer(detector, { ...options, learningRate: 1e30 }).run({ onStep: (event) => steps.push(event) });
    await expectError(run, 'LOSS_NOT_FINITE', 'box loss', 'class loss', 'lower the learning rate');
    expect(steps.length).toBeGreaterThan(0);
    const manifest = JSON.parse(await readFile(join(outDir, 'last', 'checkpoint.json'), 'utf8'));
    expect(manifest.training).toMatchObject({ epoch: 0, step: steps.length });
    await detector.save(join(outDir, 'now'));
    expect(await sha(join(outDir, 'now'), 'model.safetensors')).toBe(
      await sha(join(outDir, 'last'), 'model.safetensors'),
    );
  });

  describe('with results that come several at a time, as on a GPU', () => {
    async function lookingEvery(steps: number): Promise<Detector> {
      const detector = await createDetector();
      const { addon } = internalsOf(detector);
      const { startTraining } = addon;
      vi.spyOn(addon, 'startTraining').mockImplementation((handle, options) =>
        startTraining(handle, { ...options, lookEvery: steps }),
      );
      return detector;
    }
    afterEach(() => vi.restoreAllMocks());

    it.each([2, 3, 10])('tells the same, and ends bit for bit the same: every %i', async (every) => {
      const [whole, few] = [await prepare(), await prepare()];
      await using first = await createDetector();
      await new Trainer(first, whole.options).run();
      await using second = await lookingEvery(every);
      const seconds: number[] = [];
      await new Trainer(second, few.options).run({ onStep: (event) => seconds.push(event.seconds) });
      expect(timeless(await metrics(few.outDir))).toEqual(timeless(await metrics(whole.outDir)));
      for (const file of ['model.safetensors', 'optimizer.safetensors']) {
        expect(await sha(join(few.outDir, 'last'), file)).toBe(await sha(join(whole.outDir, 'last'), file));
      }
      expect(seconds.every((value) => value > 0)).toBe(true);
      expect(seconds[1]).toBe(seconds[0]);
    });

    it('tells all steps that are done when it is aborted, and goes on after them', async () => {
      const [whole, part] = [await prepare(), await prepare()];
      await using first = await createDetector();
      await new Trainer(first, whole.options).run();
      await using second = await lookingEvery(2);
      const abort = new AbortController();
      const told: number[] = [];
      const onStep = ({ step }: StepEvent) => {
        told.push(step);
        abort.abort();
      };
      const run = new Trainer(second, part.options).run({ signal: abort.signal, onStep });
      await expect(run).rejects.toMatchObject({ name: 'AbortError' });
      expect(told).toEqual([1, 2]);
      vi.restoreAllMocks();
      await using third = await createDetector();
      await new Trainer(third, { ...part.options, resume: true }).run();
      expect(timeless(await metrics(part.outDir))).toEqual(timeless(await metrics(whole.outDir)));
      expect(await sha(join(part.outDir, 'last'), 'model.safetensors')).toBe(
        await sha(join(whole.outDir, 'last'), 'model.safetensors'),
      );
    });

    it.each([2, 10])('saves what was before a loss that is not finite: every %i', async (every) => {
      const { options, outDir } = await prepare();
      await using detector = await lookingEvery(every);
      const steps: StepEvent[] = [];
      const onStep = (event: StepEvent) => void steps.push(event);
      const run = new Trainer(detector, { ...options, learningRate: 1e30 }).run({ onStep });
      await expectError(run, 'LOSS_NOT_FINITE', 'lower the learning rate');
      expect(steps.map(({ epoch, step }) => [epoch, step])).toEqual([[1, 1]]);
      const manifest = JSON.parse(await readFile(join(outDir, 'last', 'checkpoint.json'), 'utf8'));
      expect(manifest.training).toMatchObject({ epoch: 0, step: 1 });

      const plain = await prepare();
      await using other = await createDetector();
      await expectError(new Trainer(other, { ...plain.options, learningRate: 1e30 }).run(), 'LOSS_NOT_FINITE');
      for (const file of ['model.safetensors', 'optimizer.safetensors']) {
        expect(await sha(join(outDir, 'last'), file)).toBe(await sha(join(plain.outDir, 'last'), file));
      }
    });
  });

  it('passes on what a hook throws', async () => {
    const { options } = await prepare();
    await using detector = await createDetector();
    const failure = new Error('from the user');
    const onStep = () => {
      throw failure;
    };
    await expect(new Trainer(detector, options).run({ onStep })).rejects.toBe(failure);
  });

  it('keeps the frozen backbone, and trains it with fineTune', async () => {
    const backboneOf = async (fineTune: boolean) => {
      const { options, outDir } = await prepare(1);
      await using detector = await createDetector();
      await detector.save(join(outDir, '..', 'before'));
      await new Trainer(detector, { ...options, fineTune }).run();
      const read = async (dir: string) => {
        const bytes = await readFile(join(dir, 'model.safetensors'));
        const length = Number(bytes.readBigUInt64LE());
        const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
        const [begin, end] = header['backbone.stages.0.0.pwconv1.weight'].data_offsets;
        return bytes.subarray(8 + length + begin, 8 + length + end).toString('hex');
      };
      return (await read(join(outDir, '..', 'before'))) === (await read(join(outDir, 'last')));
    };
    expect(await backboneOf(false)).toBe(true);
    expect(await backboneOf(true)).toBe(false);
  });
});

describe('Trainer refuses', () => {
  it.each([
    ['epochs', 0, 'Expected integer >= 1 for epochs but received 0 of type number'],
    ['batchSize', -1, 'for batchSize but received -1'],
    ['learningRate', Number.NaN, 'Expected number > 0 for learningRate but received NaN'],
    ['optimizer', 'adam', 'did you mean "adamw"'],
    ['flipProbability', 1.5, 'for flipProbability'],
    ['milestones', [0], 'milestones[0]'],
    ['clipGradNorm', 0, 'clipGradNorm'],
    ['workers', 0, 'workers'],
    ['outDir', '', 'outDir'],
    ['train', {}, 'for train.classes'],
    ['epoch', 3, 'did you mean "epochs"'],
  ])('%s: %s', async (key, value, message) => {
    const { options } = await prepare();
    await using detector = await createDetector();
    expect(() => new Trainer(detector, { ...options, [key]: value })).toThrow(message as string);
  });

  it('other classes than the data set has', async () => {
    const { options } = await prepare();
    await using detector = await Detector.create({
      classes: ['__background__', 'green'],
      backbone: 'convnext_test',
      imageSize: { width: 64, height: 64 },
    });
    await expectError(new Trainer(detector, options).run(), 'CHECKPOINT_MISMATCH', 'green', 'red, blue');
  });

  it('what needs the blocks of a ConvNeXt where there are none', async () => {
    const { options } = await prepare();
    const torchscript = fileURLToPath(new URL('../../fixtures/torchscript/one_map.pt', import.meta.url));
    const imageSize = { width: 96, height: 64 };
    await using detector = await Detector.create({ classes: squareClasses, backbone: { torchscript }, imageSize });
    for (const given of [{ dropPath: 0.1 }, { layerDecay: 0.9 }]) {
      expect(() => new Trainer(detector, { ...options, ...given })).toThrow('needs a ConvNeXt');
    }
    new Trainer(detector, { ...options, backboneLearningRateFactor: 0.1 });
  });

  it('an output directory that cannot be written', async () => {
    const { options, train } = await prepare();
    await using detector = await createDetector();
    const outDir = join((train as VocDataset).samples[0]!.imagePath, 'run');
    await expectError(new Trainer(detector, { ...options, outDir }).run(), 'OUTPUT_NOT_WRITABLE', outDir);
  });

  it('to resume with other options, or what is not there', async () => {
    const { options } = await prepare(1);
    await using detector = await createDetector();
    await expectError(new Trainer(detector, { ...options, resume: true }).run(), 'CHECKPOINT_NOT_FOUND', 'last');
    await new Trainer(detector, options).run();
    const other = new Trainer(detector, { ...options, resume: true, learningRate: 1e-2 });
    await expectError(other.run(), 'CHECKPOINT_MISMATCH', 'learningRate was 0.001 and is now 0.01');
    const averaged = new Trainer(detector, { ...options, resume: true, ema: 0.9 });
    await expectError(averaged.run(), 'CHECKPOINT_MISMATCH', 'ema was undefined and is now 0.9');
    await expectError(new Trainer(detector, options).run(), 'OUTPUT_NOT_WRITABLE', 'metrics.jsonl');
  });

  it('a detector that was disposed of', async () => {
    const { options } = await prepare();
    const detector = await createDetector();
    detector.dispose();
    detector.dispose();
    expect(() => new Trainer(detector, options)).toThrow('The Detector was used after dispose()');
  });
});
