import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DetectorError } from '../../../lib/base/errors.ts';
import { type DetectorHandle, type NativeAddon, native } from '../../../lib/binding.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import type { EpochEvent, StepEvent, TrainingHooks } from '../../../lib/training/training-events.ts';
import { fixture } from '../../support/shared.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

/** Of an epoch. */
const STEPS = 3;

let addon: NativeAddon;
let alive: Set<DetectorHandle>;
let taken: number;
beforeEach(async () => {
  addon = await native();
  [alive, taken] = [new Set(), 0];
  const { takeSnapshot, disposeDetector } = addon;
  vi.spyOn(addon, 'takeSnapshot').mockImplementation(async (detector) => {
    const snapshot = await takeSnapshot(detector);
    taken++;
    alive.add(snapshot);
    expect(alive.size).toBe(1);
    return snapshot;
  });
  vi.spyOn(addon, 'disposeDetector').mockImplementation((detector) => {
    alive.delete(detector);
    disposeDetector(detector);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(alive.size).toBe(0);
});

const createDetector = (more: Partial<DetectorOptions> = {}) =>
  Detector.create({
    classes: squareClasses,
    backbone: 'convnext_test',
    imageSize: { width: 96, height: 64 },
    ...more,
  });

async function prepare(more: Partial<TrainerOptions> = {}): Promise<TrainerOptions> {
  const folder = await temporaryFolder();
  const train = await openSquares(folder, 10);
  const given = { batchSize: 4, learningRate: 1e-3, fineTune: true, milestones: [1], ema: 0.5 };
  return { train, valid: train, outDir: join(folder, 'run'), epochs: 2, ...given, ...more };
}

type Hooks = TrainingHooks & { onStep?: (event: StepEvent) => void };

/** Trains so that each epoch is under evaluation until step 2 of the next one, and beyond that for as long as `held` says. */
async function overlapped(detector: Detector, options: TrainerOptions, hooks: Hooks = {}, held?: Promise<unknown>) {
  let [trained, evaluated] = [{ epoch: 0, step: 0 }, 0];
  const { detect } = addon;
  const spy = vi.spyOn(addon, 'detect').mockImplementation(async (handle, ...rest) => {
    if (!alive.has(handle)) return detect(handle, ...rest);
    while (trained.epoch < evaluated + 2 || trained.step < 2) await setTimeout(1);
    await held;
    return detect(handle, ...rest);
  });
  const onStep = (event: StepEvent) => {
    trained = event;
    hooks.onStep?.(event);
  };
  const onEpoch = async (event: EpochEvent) => {
    evaluated = event.epoch;
    await hooks.onEpoch?.(event);
  };
  try {
    return await new Trainer(detector, { ...options, overlapEvaluation: true }).run({ ...hooks, onStep, onEpoch });
  } finally {
    spy.mockRestore();
  }
}

const timeless = <T extends object>(records: T[]) =>
  records.map((record) => ({
    ...record,
    seconds: 0,
    evaluation: { ...('evaluation' in record && (record.evaluation as object)), seconds: 0 },
  }));

const manifest = async (outDir: string, name = 'last') =>
  JSON.parse(await readFile(join(outDir, name, 'checkpoint.json'), 'utf8'));

/** All that a run leaves, but for times. */
async function outcome(outDir: string) {
  const lines = (await readFile(join(outDir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const rows = (await readFile(join(outDir, 'results.csv'), 'utf8')).trim().split('\n');
  return {
    metrics: timeless(lines.map((line) => JSON.parse(line))),
    results: rows.map((row) => row.split(',').slice(0, -1)),
    checkpoints: [await manifest(outDir, 'best'), await manifest(outDir)],
  };
}

let reference: ReturnType<typeof outcome> | undefined;

/** Of a run that nothing was done to. */
function undisturbed() {
  reference ??= (async () => {
    const options = await prepare();
    await using detector = await createDetector();
    await new Trainer(detector, options).run();
    return outcome(options.outDir);
  })();
  return reference;
}

/** What a run that ended early comes to when it is resumed. */
async function resumed(options: TrainerOptions) {
  await using detector = await createDetector();
  await new Trainer(detector, { ...options, resume: true, overlapEvaluation: true }).run();
  return outcome(options.outDir);
}

const torchscript = fixture('torchscript/one_map.pt');

describe('evaluation that overlaps the training', () => {
  it.each<[string, Partial<DetectorOptions>, Partial<TrainerOptions>]>([
    [
      'with every option',
      { seed: 7 },
      { accumulate: 2, batchSize: 2, clipGradNorm: 1, dropPath: 0.5, patience: 9, epochs: 3 },
    ],
    ['of the head alone', {}, { fineTune: false, ema: undefined as never }],
    ['of a TorchScript backbone', { backbone: { torchscript }, preset: 'article' }, {}],
  ])('is the same run: %s', async (_, model, more) => {
    const [plain, beside] = [await prepare(more), await prepare(more)];
    const { epochs } = plain as { epochs: number };
    const collect = async (options: TrainerOptions, run: typeof overlapped) => {
      await using detector = await createDetector(model);
      const order: string[] = [];
      const events: EpochEvent[] = [];
      const onStep = ({ epoch, step }: StepEvent) => void order.push(`${epoch}/${step}`);
      const onEpoch = (event: EpochEvent) => {
        order.push(`epoch ${event.epoch}`);
        events.push(event);
      };
      const { outDir: _, seconds, ...result } = await run(detector, options, { onStep, onEpoch });
      expect(seconds).toBeGreaterThan(0);
      await detector.save(join(options.outDir, 'now'));
      const { files } = await manifest(options.outDir, 'now');
      return { order, result, events: timeless(events), files, all: await outcome(options.outDir) };
    };
    const inLine = await collect(plain, (detector, options, hooks) => new Trainer(detector, options).run(hooks));
    expect(taken).toBe(0);
    const { order, ...found } = await collect(beside, overlapped);
    expect(taken).toBe(epochs - 1);
    for (let epoch = 1; epoch < epochs; epoch++) {
      expect(order.indexOf(`epoch ${epoch}`)).toBeGreaterThan(order.indexOf(`${epoch + 1}/2`));
    }
    expect(inLine.order.indexOf('epoch 1')).toBeLessThan(inLine.order.indexOf('2/1'));
    expect(order.toSorted()).toEqual(inLine.order.toSorted());
    expect({ ...found, order: [] }).toEqual({ ...inLine, order: [] });
    expect(JSON.stringify(await manifest(beside.outDir))).not.toContain('overlap');
  });

  it('comes to the same where the results of several steps come at once', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const { startTraining } = addon;
    vi.spyOn(addon, 'startTraining').mockImplementation((handle, given) =>
      startTraining(handle, { ...given, lookEvery: 2 }),
    );
    await overlapped(detector, options);
    expect(taken).toBe(1);
    expect(await outcome(options.outDir)).toEqual(await undisturbed());
  });

  it('is waited for where it may end the run', async () => {
    const options = await prepare({ learningRate: 1e-30, milestones: [], patience: 2, epochs: 9 });
    await using detector = await createDetector();
    const steps: number[] = [];
    const result = await overlapped(detector, options, { onStep: ({ epoch }) => steps.push(epoch) });
    expect(result).toMatchObject({ epochs: 3, bestEpoch: 1, stoppedEarly: true });
    expect(steps).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3]);
    expect(taken).toBe(2);
    await detector.save(join(options.outDir, 'now'));
    expect((await manifest(options.outDir, 'now')).files).toEqual({
      'model.safetensors': (await manifest(options.outDir)).files['model.safetensors'],
    });
  });

  it.each([
    ['a CPU', 'cpu', undefined, 0],
    ['a GPU', 'cuda', undefined, 1],
    ['a GPU, switched off', 'cuda', false, 0],
  ])('is what is done on %s', async (_, device, overlapEvaluation, copies) => {
    await using detector = await createDetector();
    Object.defineProperty(detector, 'device', { value: device });
    const given = overlapEvaluation === undefined ? {} : { overlapEvaluation };
    await new Trainer(detector, await prepare(given)).run();
    expect(taken).toBe(copies);
  });

  it('is given up, with a word, where there is no memory for a copy', async () => {
    const options = await prepare({ overlapEvaluation: true });
    await using detector = await createDetector();
    const spy = vi.spyOn(addon, 'takeSnapshot').mockRejectedValue(new DetectorError('OUT_OF_MEMORY', 'none left'));
    const warnings: string[] = [];
    await new Trainer(detector, options).run({ onWarning: (message) => warnings.push(message) });
    expect(spy).toHaveBeenCalledTimes(1);
    expect(warnings).toEqual([expect.stringContaining('No memory for a copy of the weights')]);
    expect(await outcome(options.outDir)).toEqual(await undisturbed());
  });

  it('and a copy that cannot be made for another reason end the run', async () => {
    const options = await prepare({ overlapEvaluation: true });
    await using detector = await createDetector();
    const error = new DetectorError('NATIVE_ERROR', 'broken');
    vi.spyOn(addon, 'takeSnapshot').mockRejectedValue(error);
    await expect(new Trainer(detector, options).run()).rejects.toBe(error);
  });
});

describe('a run that ends while an epoch is evaluated beside it', () => {
  it('by a signal: last is the end of that epoch, and is resumed with its evaluation', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const abort = new AbortController();
    const reason = new Error('enough');
    const aborted = new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
    const onStep = ({ epoch, step }: StepEvent) => epoch === 2 && step === STEPS - 1 && abort.abort(reason);
    const onEpoch = () => expect.fail('the evaluation was to be given up');
    const hooks = { signal: abort.signal, onStep, onEpoch } as Hooks;
    await expect(overlapped(detector, options, hooks, aborted)).rejects.toBe(reason);
    expect((await manifest(options.outDir)).training).toMatchObject({ epoch: 0, step: STEPS, bestEpoch: null });
    expect(await resumed(options)).toEqual(await undisturbed());
  });

  it('by a signal once it is saved: last is where the training is', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const abort = new AbortController();
    let steps = 0;
    const hooks: Hooks = {
      signal: abort.signal,
      onStep: ({ epoch, step }) => {
        if (epoch === 2) steps = step;
      },
      onEpoch: () => abort.abort(),
    };
    await expect(overlapped(detector, options, hooks)).rejects.toMatchObject({ name: 'AbortError' });
    expect(steps).toBeGreaterThanOrEqual(2);
    expect((await manifest(options.outDir)).training).toMatchObject({ epoch: 1, step: steps, bestEpoch: 1 });
    expect(await resumed(options)).toEqual(await undisturbed());
  });

  it.each(['LOSS_NOT_FINITE', 'OUT_OF_MEMORY'] as const)(
    'by %s in a step: the evaluation is finished, and last is before the step',
    async (code) => {
      const options = await prepare();
      await using detector = await createDetector();
      const { trainStep } = addon;
      let calls = 0;
      const failing = vi.spyOn(addon, 'trainStep').mockImplementation((...args) => {
        return ++calls === 2 * STEPS ? Promise.reject(new DetectorError(code, 'a bad step')) : trainStep(...args);
      });
      const epochs: number[] = [];
      await expectError(overlapped(detector, options, { onEpoch: ({ epoch }) => void epochs.push(epoch) }), code);
      failing.mockRestore();
      expect(epochs).toEqual([1]);
      expect((await manifest(options.outDir)).training).toMatchObject({ epoch: 1, step: 2, bestEpoch: 1 });
      expect(await resumed(options)).toEqual(await undisturbed());
    },
  );

  it('by what onStep throws: the evaluation is finished, and last is of its epoch', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const failure = new Error('from the user');
    const onStep = ({ epoch, step }: StepEvent) => {
      if (epoch === 2 && step === 2) throw failure;
    };
    const epochs: number[] = [];
    const hooks = { onStep, onEpoch: ({ epoch }: EpochEvent) => void epochs.push(epoch) };
    await expect(overlapped(detector, options, hooks)).rejects.toBe(failure);
    expect(epochs).toEqual([1]);
    expect((await manifest(options.outDir)).training).toMatchObject({ epoch: 1, step: 0, bestEpoch: 1 });
    expect(await resumed(options)).toEqual(await undisturbed());
  });

  it('by what onEpoch throws: the training ends with the step, and last is of the epoch', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const failure = new Error('from the user');
    const steps: number[] = [];
    const onEpoch = () => Promise.reject(failure);
    await expect(overlapped(detector, options, { onStep: ({ epoch }) => steps.push(epoch), onEpoch })).rejects.toBe(
      failure,
    );
    expect(Math.max(...steps)).toBe(2);
    expect((await manifest(options.outDir)).training).toMatchObject({ epoch: 1, step: 0, bestEpoch: 1 });
    expect(await resumed(options)).toEqual(await undisturbed());
  });

  it.each([
    ['alone', false],
    ['and by onStep, whose error it is', true],
  ])('by an evaluation that fails, %s: last is the end of its epoch, not evaluated', async (_, both) => {
    const options = await prepare();
    await using detector = await createDetector();
    const failure = new Error('from the user');
    const onStep = ({ epoch, step }: StepEvent) => {
      if (both && epoch === 2 && step === 2) throw failure;
    };
    const held = Promise.reject(new DetectorError('OUT_OF_MEMORY', 'in the evaluation'));
    held.catch(() => {});
    const run = overlapped(detector, options, { onStep }, held);
    if (both) await expect(run).rejects.toBe(failure);
    else await expectError(run, 'OUT_OF_MEMORY', 'in the evaluation');
    expect((await manifest(options.outDir)).training).toMatchObject({ epoch: 0, step: STEPS, bestEpoch: null });
    expect(await resumed(options)).toEqual(await undisturbed());
  });

  it('does not train the next epoch to its end once the evaluation has failed', async () => {
    const options = await prepare({ batchSize: 1 });
    await using detector = await createDetector();
    const failure = new Error('no score');
    const held = Promise.reject(failure);
    held.catch(() => {});
    const steps: number[] = [];
    const onStep = ({ epoch, step }: StepEvent) => epoch === 2 && steps.push(step);
    await expect(overlapped(detector, options, { onStep } as Hooks, held)).rejects.toBe(failure);
    expect(steps.length).toBeGreaterThanOrEqual(2);
    expect(steps.length).toBeLessThan(options.train.length);
  });
});
