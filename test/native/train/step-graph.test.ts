import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import type { NativeDetectorOptions, TrainingOptions } from '../../../lib/binding.ts';
import { fixture } from '../../support/shared.ts';
import type { GraphStep, TypedObjects } from '../support.ts';

// All that a step does has to be an operator of LibTorch's for a simulated graph to see it: this file has a process of its own.
process.env.DINOV3_DET_DISABLE = 'depthwise,fused-mlp,packed-weights,pixel-table';
const { options } = await import('../detectors.ts');
const { graphSteps } = await (await import('../support.ts')).loadTestAddon();

/** So many images, the first one with so many objects, the last one with one less. */
function objectsOf(pictures: number, objects: number): TypedObjects {
  const counts = Int32Array.from({ length: pictures }, (_, i) =>
    i === 0 ? objects : i === pictures - 1 ? Math.max(0, objects - 1) : 0,
  );
  const boxes = [...counts].flatMap((count) =>
    Array.from({ length: count }, (_, i) => [i % 40, (3 * i) % 35, (i % 40) + 20, ((3 * i) % 35) + 24]),
  );
  return { counts, boxes: Float32Array.from(boxes.flat()), labels: Int32Array.from(boxes, (_, i) => 1 + (i % 3)) };
}

/** Rates that float32 has exactly: a graph reads them as such. */
const step = (pictures: number, objects: number, learningRate = 2 ** -10): GraphStep => ({
  objects: objectsOf(pictures, objects),
  learningRate,
});
const steps = (...objects: number[]) => objects.map((n) => step(2, n));
/** A box without an area. */
const notFinite: GraphStep = {
  objects: { counts: Int32Array.of(1, 0), boxes: Float32Array.of(10, 10, 10, 10), labels: Int32Array.of(1) },
  learningRate: 2 ** -10,
};
/** What is done before the last step but one, by which graphs are in use. */
const interrupted = (before: GraphStep['before']) =>
  steps(1, 2, 3, 4, 5, 6, 7, 8, 9, 10).map((given, i) => (i === 6 && before ? { ...given, before } : given));

const withoutAverage = { optimizer: 'adamw', fineTune: true, clipGradNorm: 1, lookEvery: 3 };
const adamw = { ...withoutAverage, emaDecay: 0.9 };
const sgd = { optimizer: 'sgd', fineTune: true, lookEvery: 1 };
const grouped = {
  ...adamw,
  parameters: [{ name: 'head.regression_head.module_list.0.weight', learningRateFactor: 0.5, weightDecay: 0.25 }],
};
const pyramid: NativeDetectorOptions = {
  ...options,
  features: 'pyramid',
  fusion: 'fpn',
  precision: 'bf16',
  defaultBoxes: { ...options.defaultBoxes, aspectRatios: [[2], [2], [2]], scales: [0.15, 0.35, 0.55, 0.75] },
};

interface Case {
  name: string;
  training?: TrainingOptions;
  detector?: NativeDetectorOptions;
  given: readonly GraphStep[];
  recorded?: number;
  /** Trials too. */
  replayed: number;
  errors?: string[];
}

const cases: Case[] = [
  { name: 'objects that come and go', given: steps(2, 1, 0, 2, 5, 0, 32, 4, 1), replayed: 6 },
  { name: 'SGD', training: sgd, given: steps(1, 2, 3, 4, 5, 0, 7), replayed: 4 },
  {
    name: 'rates that change, and parameters with rates of their own',
    training: grouped,
    given: [8, 9, 10, 8, 9, 10, 8, 9].map((n, i) => step(2, i, 2 ** -n)),
    replayed: 5,
  },
  {
    name: 'a frozen backbone',
    training: { ...adamw, fineTune: false },
    given: steps(1, 2, 3, 4, 5, 6, 7),
    replayed: 4,
  },
  {
    name: 'a feature pyramid in bfloat16, whose copies of weights are renewed',
    training: withoutAverage,
    detector: pyramid,
    given: interrupted('detect').map((given, i) => (i === 8 ? { ...given, before: 'detect' } : given)),
    replayed: 7,
  },
  {
    name: 'ATSS, focal loss and CIoU',
    detector: { ...options, scores: 'sigmoid' },
    training: {
      ...adamw,
      assigner: 'atss',
      loss: { classification: 'focal', box: 'ciou', backgroundNegatives: false },
    },
    given: steps(1, 2, 0, 4, 5, 0, 7),
    replayed: 4,
  },
  { name: 'batches in parts', training: { ...adamw, microBatchSize: 1 }, given: steps(1, 2, 3, 4, 5, 6), replayed: 3 },
  {
    name: 'more objects than there is room for',
    given: [1, 1, 1, 1, 1, 33, 2, 3, 70, 3, 4, 5, 6, 7].map((n) => step(1, n)),
    recorded: 2,
    replayed: 2 + 3,
  },
  {
    name: 'a smaller batch at the end of each epoch',
    given: [3, 3, 1, 3, 3, 1, 3, 3, 1, 3].map((n) => step(n, 2)),
    replayed: 4,
  },
  {
    name: 'a larger batch later',
    given: [1, 1, 1, 1, 1, 3, 1, 3, 3, 3, 3].map((n) => step(n, 2)),
    recorded: 2,
    replayed: 4,
  },
  { name: 'detection meanwhile', given: interrupted('detect'), replayed: 7 },
  { name: 'a copy for evaluation meanwhile', given: interrupted('snapshot'), replayed: 7 },
  { name: 'other weights meanwhile', given: interrupted('load'), replayed: 7 },
  {
    name: 'other weights of what is not trained',
    training: { ...adamw, fineTune: false },
    given: interrupted('load'),
    recorded: 2,
    replayed: 3 + 1,
  },
  {
    name: 'losses that are not finite',
    training: { ...adamw, lookEvery: 4 },
    given: [1, 2, 3, 4, 5, 0, 7, 6, 5, 4, 3, 2].map((n) => (n === 0 ? notFinite : step(2, n))),
    replayed: 8,
    errors: ['LOSS_NOT_FINITE'],
  },
  {
    name: 'a loss that is not finite while a graph is tried out',
    training: { ...adamw, lookEvery: 3 },
    given: [1, 2, 3, 0, 5, 6, 7, 6, 5, 4, 3].map((n) => (n === 0 ? notFinite : step(2, n))),
    replayed: 3 + 5,
    errors: ['LOSS_NOT_FINITE'],
  },
];

/** Names and a digest of all values: comparing so many numbers one by one takes seconds. */
function digest(tensors: Record<string, Float32Array>): Record<string, string> {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, values]) => [name, createHash('md5').update(bytes(values)).digest('hex')]),
  );
}

function run({ detector = options, training = adamw, given }: Case, graphs?: Parameters<typeof graphSteps>[3]) {
  const { recorded, replayed, refusal, read, ...found } = graphSteps(detector, training, given, graphs);
  const { results, errors } = found;
  const [model, optimizer, ...detected] = [found.model, found.optimizer, ...found.detected].map(digest);
  return { numbers: { results, errors, model, optimizer, detected }, recorded, replayed, refusal, read };
}

describe('steps that are recorded and replayed', () => {
  it.each(cases)('do what plain ones do, bit for bit: $name', (given) => {
    const plain = run(given);
    expect(plain).toMatchObject({ recorded: 0, replayed: 0, refusal: '' });
    expect(plain.numbers.errors).toEqual(given.errors ?? []);
    expect(plain.numbers.results.flat().length).toBeGreaterThan(4);
    const replayed = run(given, {});
    expect(replayed).toMatchObject({ recorded: given.recorded ?? 1, replayed: given.replayed, refusal: '' });
    expect(replayed.numbers).toEqual(plain.numbers);
  });

  it('read what outlives them, and nothing else', () => {
    const { read, numbers } = run(cases[0]!, {});
    const lasting = Object.keys({ ...numbers.model, ...numbers.optimizer });
    const trained = lasting.filter((name) => name !== 'average.updates' && !/module_list\.[1-5]/.test(name));
    const others = [
      'default boxes',
      'Float []', // the learning rate, the average's share, and whether a loss was not finite
      'Float [1, 3, 1, 1]', // mean and standard deviation of images
      'Byte [2, 64, 64, 3]', // images
      'Float [2, 32, 4]', // ground truth: boxes,
      'Long [2, 32]', // labels,
      'Long [2]', // and how many of them
    ];
    const extra = lasting.filter((name) => /module_list\.[1-5]/.test(name) && read.includes(name));
    expect(read.toSorted()).toEqual([...trained, ...extra, ...others].toSorted());
  });
});

describe('steps are plain ones, and the reason is kept,', () => {
  const given = interrupted(undefined);
  const training = { ...adamw, lookEvery: 2 };
  const plain = run({ name: '', training, given, replayed: 0 });

  it.each([
    ['recording cannot begin', { failure: 'begin' }, /^no graph today \(begin\)/, 0],
    ['a step cannot be recorded', { failure: 'aten::_fused_adamw_' }, /^no graph today \(aten::_fused/, 0],
    ['recording cannot end', { failure: 'end' }, /^no graph today \(end\)/, 0],
    ['a graph cannot be replayed', { failure: 'replay' }, /^no graph today \(replay\)/, 0],
    ['the average is left out', { without: 'aten::lerp_' }, /other numbers/, 1],
    ['the optimizer is left out', { without: 'aten::_fused_adamw_' }, /other numbers/, 1],
    ['a part of the backward pass is left out', { without: 'aten::convolution_backward' }, /other numbers/, 1],
    ['the sum of the loss is left out', { without: 'aten::sum' }, /other numbers/, 1],
    ['the images are those of another step', { keepsImages: true }, /other numbers/, 2],
  ] as const)('where %s', (_, graphs, reason, replayed) => {
    const { numbers, ...rest } = run({ name: '', training, given, replayed }, graphs);
    expect(rest.refusal).toMatch(reason);
    expect(rest.replayed).toBe(replayed);
    expect(numbers).toEqual(plain.numbers);
  });
});

it('a plain step that fails gets the memory of a graph, for good', () => {
  const given = steps(1, 2, 3, 4, 5, 6, 7, 8).map((given, i) =>
    i === 6 ? { ...step(1, 1), before: 'cut' as const } : given,
  );
  const cut = { name: '', training: adamw, given, replayed: 3 };
  const { numbers, ...rest } = run(cut, {});
  expect(numbers).toEqual(run(cut).numbers);
  expect(numbers.errors).toEqual(['expected images of 64x64 but the batch holds 64x1']);
  expect(rest).toMatchObject({ recorded: 1, replayed: 3, refusal: numbers.errors[0] });
});

describe('steps are not recorded', () => {
  it.each<[string, TrainingOptions, Partial<NativeDetectorOptions>]>([
    ['with drop path', { ...adamw, dropPath: 0.5 }, {}],
    ['for a foreign program', adamw, { backbone: 'torchscript' }],
  ])('%s', async (_, training, detector) => {
    const torchscript = await readFile(fixture('native/torchscript/batch_norm.pt'));
    const given = steps(1, 2, 3, 4, 5, 6);
    const all = { ...options, ...detector, torchscript };
    expect(graphSteps(all, training, given, {})).toMatchObject({ recorded: 0, replayed: 0, refusal: '' });
  });
});
