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
import type { EpochEvent, TrainingHooks } from '../../../lib/training/training-events.ts';
import { fixture } from '../../support/shared.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

// Ten images in batches of four: an epoch has three steps. A run has two epochs where nothing else is said.
const STEPS = 3;

/** What happens in a test, in order: `copy 1` (of the weights after epoch 1), `step 2/1` (epoch 2, step 1), `epoch 1`, `freed 1`. */
let story: string[];
/** The copies of the weights that are there, with their epochs. There is never more than one. */
let copies: Map<DetectorHandle, number>;
let addon: NativeAddon;

beforeEach(async () => {
  addon = await native();
  story = [];
  copies = new Map();
  const { takeSnapshot, disposeDetector } = addon;
  vi.spyOn(addon, 'takeSnapshot').mockImplementation(async (detector) => {
    const copy = await takeSnapshot(detector);
    const epoch = copiesTaken() + 1;
    copies.set(copy, epoch);
    story.push(`copy ${epoch}`);
    expect(copies.size).toBe(1);
    return copy;
  });
  vi.spyOn(addon, 'disposeDetector').mockImplementation((detector) => {
    if (copies.has(detector)) story.push(`freed ${copies.get(detector)}`);
    copies.delete(detector);
    disposeDetector(detector);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  expect(copies.size, 'every copy is freed').toBe(0);
});

const copiesTaken = () => story.filter((event) => event.startsWith('copy')).length;

function expectOrder(...events: string[]): void {
  expect(story).toEqual(expect.arrayContaining(events));
  expect(story.filter((event) => events.includes(event))).toEqual(events);
}

const createDetector = (more: Partial<DetectorOptions> = {}) =>
  Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 }, ...more });

async function prepare(more: Partial<TrainerOptions> = {}): Promise<TrainerOptions> {
  const folder = await temporaryFolder();
  const train = await openSquares(folder, 10);
  const given = { batchSize: 4, learningRate: 1e-3, fineTune: true, milestones: [1], ema: 0.5 };
  return { train, valid: train, outDir: join(folder, 'run'), epochs: 2, ...given, ...more };
}

/** What the callbacks of a run do in a test, beside telling the story. */
interface Actions {
  /** `step` is written as in the story: `2/1`. */
  onStep?: (step: string) => void;
  onEpoch?: (event: EpochEvent) => void | Promise<void>;
  onWarning?: (message: string) => void;
  signal?: AbortSignal;
}

function trainInStory(detector: Detector, options: TrainerOptions, { onStep, onEpoch, ...rest }: Actions = {}) {
  const hooks: TrainingHooks = {
    ...rest,
    onStep: ({ epoch, step }) => {
      story.push(`step ${epoch}/${step}`);
      onStep?.(`${epoch}/${step}`);
    },
    onEpoch: (event) => {
      story.push(`epoch ${event.epoch}`);
      return onEpoch?.(event);
    },
  };
  return new Trainer(detector, options).run(hooks);
}

/** Trains with overlap. Each evaluation of a copy waits for step 2 of the next epoch, and then for `evaluationWaitsFor`. */
async function trainWithOverlap(
  detector: Detector,
  options: TrainerOptions,
  { evaluationWaitsFor, ...actions }: Actions & { evaluationWaitsFor?: Promise<unknown> } = {},
) {
  evaluationWaitsFor?.catch(() => {}); // a failure is looked at by the evaluation
  const { detect } = addon;
  const held = vi.spyOn(addon, 'detect').mockImplementation(async (handle, ...rest) => {
    const epoch = copies.get(handle);
    if (epoch !== undefined) {
      while (!story.includes(`step ${epoch + 1}/2`)) await setTimeout(1);
      await evaluationWaitsFor;
    }
    return detect(handle, ...rest);
  });
  try {
    return await trainInStory(detector, { ...options, overlapEvaluation: true }, actions);
  } finally {
    held.mockRestore();
  }
}

async function manifestOf(outDir: string, name = 'last') {
  return JSON.parse(await readFile(join(outDir, name, 'checkpoint.json'), 'utf8'));
}

async function linesOf(outDir: string, file: string): Promise<string[]> {
  return (await readFile(join(outDir, file), 'utf8')).trim().split('\n');
}

/** All that a run leaves, without durations. */
async function outcomeOf(outDir: string) {
  const metrics = (await linesOf(outDir, 'metrics.jsonl')).map((line) => JSON.parse(line));
  const results = (await linesOf(outDir, 'results.csv')).map((row) => row.split(','));
  return {
    metrics: metrics.map((record) => ({ ...record, seconds: 0 })),
    results: results.map((row) => row.slice(0, -1)),
    checkpoints: [await manifestOf(outDir, 'best'), await manifestOf(outDir, 'last')],
  };
}

let outcomeWithoutOverlap: ReturnType<typeof outcomeOf> | undefined;

/** Checks that a run came to exactly what it comes to without overlap and without an interruption. */
async function expectSameOutcome({ outDir }: TrainerOptions): Promise<void> {
  outcomeWithoutOverlap ??= (async () => {
    const options = await prepare();
    await using detector = await createDetector();
    await new Trainer(detector, options).run();
    return outcomeOf(options.outDir);
  })();
  expect(await outcomeOf(outDir)).toEqual(await outcomeWithoutOverlap);
}

/** Resumes a run that has ended early, and checks that it comes to the same as an uninterrupted one. */
async function expectResumable(options: TrainerOptions): Promise<void> {
  await using detector = await createDetector();
  await new Trainer(detector, { ...options, resume: true, overlapEvaluation: true }).run();
  await expectSameOutcome(options);
}

/** How far `last` has come: which epochs are complete, and the steps after them. */
const expectLast = async (
  { outDir }: TrainerOptions,
  state: { epoch: number; step: number; bestEpoch: number | null },
) => expect((await manifestOf(outDir)).training).toMatchObject(state);

describe('a run with overlapped evaluation', () => {
  const torchscript = fixture('torchscript/one_map.pt');
  const everyOption = { accumulate: 2, batchSize: 2, clipGradNorm: 1, dropPath: 0.5, patience: 9, epochs: 3 };
  const scenarios: [name: string, model: Partial<DetectorOptions>, options: Partial<TrainerOptions>][] = [
    ['every option', { seed: 7 }, everyOption],
    ['a frozen backbone and no moving average', {}, { fineTune: false, ema: undefined as never }],
    ['a TorchScript backbone', { backbone: { torchscript }, preset: 'article' }, {}],
  ];

  /** Trains, and returns all that must not depend on the overlap. */
  async function train(run: typeof trainInStory, model: Partial<DetectorOptions>, options: TrainerOptions) {
    await using detector = await createDetector(model);
    const events: object[] = [];
    const onEpoch = ({ evaluation, ...event }: EpochEvent) =>
      void events.push({ ...event, seconds: 0, evaluation: { ...evaluation, seconds: 0 } });
    const { outDir, seconds, ...result } = await run(detector, options, { onEpoch });
    expect(seconds).toBeGreaterThan(0);
    await detector.save(join(outDir, 'now'));
    const { files: weights } = await manifestOf(outDir, 'now');
    return { result, events, weights, outcome: await outcomeOf(outDir) };
  }

  it.each(scenarios)('comes to the same as one without, bit for bit: %s', async (_, model, more) => {
    const epochs = more.epochs ?? 2;
    const plain = await train(trainInStory, model, await prepare(more));
    const plainStory = story;
    expect(copiesTaken()).toBe(0);
    for (let epoch = 1; epoch < epochs; epoch++) expectOrder(`epoch ${epoch}`, `step ${epoch + 1}/1`);

    story = [];
    const options = await prepare(more);
    expect(await train(trainWithOverlap, model, options)).toEqual(plain);
    expect(copiesTaken()).toBe(epochs - 1); // the last epoch has no training beside it
    for (let epoch = 1; epoch < epochs; epoch++) {
      expectOrder(`copy ${epoch}`, `step ${epoch + 1}/2`, `epoch ${epoch}`, `freed ${epoch}`);
    }
    const told = story.filter((event) => /^(step|epoch)/.test(event));
    expect(told.toSorted()).toEqual(plainStory.toSorted());
    expect(JSON.stringify(await manifestOf(options.outDir))).not.toContain('overlap');
  });

  it('comes to the same where the results of two steps come at once, as on a GPU', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const { startTraining } = addon;
    vi.spyOn(addon, 'startTraining').mockImplementation((handle, given) =>
      startTraining(handle, { ...given, lookEvery: 2 }),
    );
    await trainWithOverlap(detector, options);
    expect(copiesTaken()).toBe(1);
    await expectSameOutcome(options);
  });

  it('waits for an evaluation that may end it by patience', async () => {
    const options = await prepare({ learningRate: 1e-30, milestones: [], patience: 2, epochs: 9 });
    await using detector = await createDetector();
    const result = await trainWithOverlap(detector, options);
    expect(result).toMatchObject({ epochs: 3, bestEpoch: 1, stoppedEarly: true });
    expect(story.filter((event) => event.startsWith('step'))).toHaveLength(3 * STEPS);
    expect(copiesTaken()).toBe(2);

    await detector.save(join(options.outDir, 'now'));
    const [now, last] = [await manifestOf(options.outDir, 'now'), await manifestOf(options.outDir)];
    expect(now.files).toEqual({ 'model.safetensors': last.files['model.safetensors'] });
  });

  it.each([
    ['no copy on a CPU', 'cpu', {}, 0],
    ['a copy on a GPU', 'cuda', {}, 1],
    ['no copy on a GPU where it is switched off', 'cuda', { overlapEvaluation: false }, 0],
  ])('makes by default %s', async (_, device, given, expected) => {
    await using detector = await createDetector();
    Object.defineProperty(detector, 'device', { value: device });
    await new Trainer(detector, await prepare(given)).run();
    expect(copiesTaken()).toBe(expected);
  });

  it('goes on without overlap, and says so, where there is no memory for a copy', async () => {
    const options = await prepare({ overlapEvaluation: true });
    await using detector = await createDetector();
    const refused = vi.spyOn(addon, 'takeSnapshot').mockRejectedValue(new DetectorError('OUT_OF_MEMORY', 'none left'));
    const warnings: string[] = [];
    await trainInStory(detector, options, { onWarning: (message) => warnings.push(message) });
    expect(refused).toHaveBeenCalledTimes(1);
    expect(warnings).toEqual([expect.stringContaining('No memory for a copy of the weights')]);
    expectOrder('epoch 1', 'step 2/1');
    await expectSameOutcome(options);
  });

  it('ends where a copy cannot be made for another reason', async () => {
    const options = await prepare({ overlapEvaluation: true });
    await using detector = await createDetector();
    const error = new DetectorError('NATIVE_ERROR', 'broken');
    vi.spyOn(addon, 'takeSnapshot').mockRejectedValue(error);
    await expect(trainInStory(detector, options)).rejects.toBe(error);
  });
});

describe('a run that ends during the evaluation of epoch 1', () => {
  const failure = new Error('from the user');

  it('by its signal: "last" is the end of epoch 1, which is evaluated when the run is resumed', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const abort = new AbortController();
    const reason = new Error('enough');
    const run = trainWithOverlap(detector, options, {
      signal: abort.signal,
      onStep: (step) => step === '2/2' && abort.abort(reason),
      evaluationWaitsFor: new Promise((resolve) => abort.signal.addEventListener('abort', resolve)),
    });
    await expect(run).rejects.toBe(reason);
    expect(story).not.toContain('epoch 1');
    await expectLast(options, { epoch: 0, step: STEPS, bestEpoch: null });
    await expectResumable(options);
  });

  it('by its signal, right after the evaluation: "last" has the steps of epoch 2', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const abort = new AbortController();
    const run = trainWithOverlap(detector, options, { signal: abort.signal, onEpoch: () => abort.abort() });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    const steps = story.filter((event) => event.startsWith('step 2/')).length;
    expect(steps).toBeGreaterThanOrEqual(2);
    await expectLast(options, { epoch: 1, step: steps, bestEpoch: 1 });
    await expectResumable(options);
  });

  it.each(['LOSS_NOT_FINITE', 'OUT_OF_MEMORY'] as const)(
    'by %s in step 3: epoch 1 is completed, and "last" has the two steps before',
    async (code) => {
      const options = await prepare();
      await using detector = await createDetector();
      const { trainStep } = addon;
      let steps = 0;
      const failing = vi.spyOn(addon, 'trainStep').mockImplementation(async (...args) => {
        steps++;
        if (steps === 2 * STEPS) throw new DetectorError(code, 'a bad step');
        return trainStep(...args);
      });
      await expectError(trainWithOverlap(detector, options), code);
      failing.mockRestore();
      expectOrder('step 2/2', 'epoch 1');
      await expectLast(options, { epoch: 1, step: 2, bestEpoch: 1 });
      await expectResumable(options);
    },
  );

  it('by an error of onStep: epoch 1 is completed, and "last" is its end', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const onStep = (step: string) => {
      if (step === '2/2') throw failure;
    };
    await expect(trainWithOverlap(detector, options, { onStep })).rejects.toBe(failure);
    expectOrder('step 2/2', 'epoch 1');
    await expectLast(options, { epoch: 1, step: 0, bestEpoch: 1 });
    await expectResumable(options);
  });

  it('by an error of onEpoch: the current step is finished, and "last" is the end of epoch 1', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const onEpoch = () => Promise.reject(failure);
    await expect(trainWithOverlap(detector, options, { onEpoch })).rejects.toBe(failure);
    expectOrder('step 2/2', 'epoch 1');
    expect(story).not.toContain('epoch 2');
    await expectLast(options, { epoch: 1, step: 0, bestEpoch: 1 });
    await expectResumable(options);
  });

  it('by a failed evaluation: "last" is the end of epoch 1, not evaluated', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const evaluationWaitsFor = Promise.reject(new DetectorError('OUT_OF_MEMORY', 'in the evaluation'));
    const run = trainWithOverlap(detector, options, { evaluationWaitsFor });
    await expectError(run, 'OUT_OF_MEMORY', 'in the evaluation');
    await expectLast(options, { epoch: 0, step: STEPS, bestEpoch: null });
    await expectResumable(options);
  });

  it('by a failed evaluation and an error of onStep: the run rejects with the latter, and "last" is the same', async () => {
    const options = await prepare();
    await using detector = await createDetector();
    const evaluationWaitsFor = Promise.reject(new DetectorError('OUT_OF_MEMORY', 'in the evaluation'));
    const onStep = (step: string) => {
      if (step === '2/2') throw failure;
    };
    await expect(trainWithOverlap(detector, options, { evaluationWaitsFor, onStep })).rejects.toBe(failure);
    await expectLast(options, { epoch: 0, step: STEPS, bestEpoch: null });
    await expectResumable(options);
  });

  it('by a failed evaluation: epoch 2 is not trained to its end', async () => {
    const options = await prepare({ batchSize: 1 });
    await using detector = await createDetector();
    const evaluationWaitsFor = Promise.reject(failure);
    await expect(trainWithOverlap(detector, options, { evaluationWaitsFor })).rejects.toBe(failure);
    const steps = story.filter((event) => event.startsWith('step 2/'));
    expect(steps.length).toBeGreaterThanOrEqual(2);
    expect(steps.length).toBeLessThan(options.train.length);
  });
});
