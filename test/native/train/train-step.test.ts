import { describe, expect, it } from 'vitest';

import type { StepResult } from '../../../lib/binding.ts';
import type { LossOptions } from '../../../lib/model/loss-options.ts';
import { golden } from '../../support/shared.ts';
import { expectError } from '../../support/voc.ts';
import {
  addon,
  allDetections,
  batchOf,
  changed,
  gradientsOf,
  objects,
  oneStep,
  options,
  readBytes,
  readFloats,
  scoresFor,
  trained,
  weighted,
  writeFloats,
} from '../detectors.ts';
import { type Digest, expectClose, expectDigest, imageOf, maxDifference, type Tensor } from '../support.ts';

const runs = await golden('native/training.json');
const reference: Gradients = await golden('native/gradients.json');

interface Run {
  name: string;
  targets: { boxes: number[][]; labels: number[] }[];
  learningRates: number[];
  steps: StepResult[];
  /** After the last step, of every parameter that has a gradient. */
  weights: Record<string, Digest>;
}

interface Gradients {
  targets: { boxes: number[][]; labels: number[] }[];
  step: StepResult;
  gradients: Record<string, Digest>;
}

/** The settings of the runs of test/reference/make_training.py. */
const settings: Record<string, { optimizer: string; fineTune: boolean; clipGradNorm?: number }> = {
  'adamw, fine-tuned': { optimizer: 'adamw', fineTune: true },
  'adamw, frozen': { optimizer: 'adamw', fineTune: false },
  'sgd, fine-tuned': { optimizer: 'sgd', fineTune: true },
  'sgd, frozen, clipped': { optimizer: 'sgd', fineTune: false, clipGradNorm: 3 },
};

const numbers = ({ loss, boxLoss, classLoss, gradientNorm }: StepResult) => [loss, boxLoss, classLoss, gradientNorm];

describe('training step', () => {
  it('has the losses and every gradient of torchvision and torch.autograd', async () => {
    const { step, gradients } = await gradientsOf(await weighted(), await batchOf(reference.targets));
    expectClose(numbers(step), numbers(reference.step), 1e-5);
    expect(step.positives).toBe(reference.step.positives);
    for (const [name, gradient] of gradients) {
      const expected = reference.gradients[name];
      if (expected) expectDigest(name, gradient, expected, 1e-5 * expected.largest);
      else
        expect([name, maxDifference(gradient, gradient.slice().fill(0))]).toEqual([
          expect.stringMatching(/module_list\.[1-5]/),
          0,
        ]);
    }
    expect([...gradients.keys()]).toEqual(expect.arrayContaining(Object.keys(reference.gradients)));
  });

  it.each<Run>(runs)(
    'equals five steps of torch, weights too: $name',
    async ({ name, targets, learningRates, steps, weights }) => {
      const detector = await weighted();
      await addon.startTraining(detector, settings[name]!);
      const batch = await batchOf(targets);
      for (const [step, expected] of steps.entries()) {
        const result = await oneStep(detector, batch, learningRates[step]!);
        expect(result.positives).toBe(expected.positives);
        expectClose(numbers(result), numbers(expected), 1e-5);
      }
      const model = await readFloats(detector, 'model');
      for (const [parameter, expected] of Object.entries(weights)) {
        // AdamW divides by the size of a gradient: where that is all but nothing its rounding shows.
        expectDigest(parameter, model.get(parameter)!, expected, 2e-5);
      }
    },
  );

  it.each(['adamw', 'sgd'])('lowers the loss on one batch: %s', async (optimizer) => {
    const { results } = await trained({ optimizer, fineTune: true }, 20);
    const losses = results.map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
    for (const { loss, boxLoss, classLoss } of results) expect(loss).toBeCloseTo(boxLoss + classLoss, 4);
  });

  it.each(
    (['hard-negative', 'focal'] as const).flatMap((classification) =>
      (['smooth-l1', 'giou', 'diou', 'ciou'] as const).map((box) => ({ classification, box })),
    ),
  )('lowers the loss on one batch: $classification, $box', async ({ classification, box }) => {
    const loss = { classification, box, backgroundNegatives: classification === 'hard-negative' };
    const detector = await addon.createDetector({ ...options, scores: scoresFor(classification) });
    const assigner = box === 'giou' ? 'atss' : 'ssd';
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true, loss, assigner });
    // One object as large as a cell, which ATSS gives a default box too, and an image without any.
    const batch = await batchOf([
      { boxes: [[2, 3, 29, 30]], labels: [1] },
      { boxes: [], labels: [] },
    ]);
    const results: StepResult[] = [];
    for (let step = 0; step < 12; step++) results.push(await oneStep(detector, batch, 1e-3));
    expect(results[0]!.positives).toBeGreaterThan(0);
    expect(results.at(-1)!.boxLoss).toBeLessThan(results[0]!.boxLoss * 0.9);
    expect(results.at(-1)!.classLoss).toBeLessThan(results[0]!.classLoss * 0.5);
  });

  it('learns from an image without objects by focal loss and by background negatives alone', async () => {
    const firstStep = async (loss?: LossOptions) => {
      const scores = scoresFor(loss?.classification ?? 'hard-negative');
      const detector = await addon.createDetector({ ...options, scores });
      await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true, ...(loss && { loss }) });
      return oneStep(detector, await batchOf([{ boxes: [], labels: [] }]), 1e-3);
    };
    const hardNegative = { classification: 'hard-negative', box: 'smooth-l1', backgroundNegatives: true } as const;
    expect((await firstStep()).gradientNorm).toBe(0);
    expect((await firstStep(hardNegative)).classLoss).toBeGreaterThan(1);
    const focal = await firstStep({ ...hardNegative, classification: 'focal', backgroundNegatives: false });
    expect(focal.gradientNorm).toBeGreaterThan(0);
    expect(focal.boxLoss).toBe(0);
  });

  it.each([
    ['softmax', 'focal', 'sigmoid'],
    ['sigmoid', 'hard-negative', 'softmax'],
  ] as const)('refuses to train scores %s with the class loss %s', async (scores, classification, others) => {
    const detector = await addon.createDetector({ ...options, scores });
    const loss = { classification, box: 'l1', backgroundNegatives: false } as const;
    const training = { optimizer: 'sgd', fineTune: true } as const;
    const starting = addon.startTraining(detector, { ...training, loss });
    await expectError(starting, 'NATIVE_ERROR', `scores are ${scores}`, classification, `with scores ${others}`);
    await expect(addon.trainStep(detector, await batchOf(), 1e-3)).rejects.toThrow('before startTraining');
    await addon.startTraining(detector, { ...training, loss: { ...loss, classification: scores === 'softmax' ? 'hard-negative' : 'focal' } }); // biome-ignore format: one line
    expect((await oneStep(detector, await batchOf(), 1e-3)).positives).toBeGreaterThan(0);
  });

  it('is the same every time', async () => {
    const first = await trained({ optimizer: 'adamw', fineTune: true }, 3);
    const second = await trained({ optimizer: 'adamw', fineTune: true }, 3);
    expect(second.results).toEqual(first.results);
    expect(changed(await readBytes(first.detector, 'model'), await readBytes(second.detector, 'model'))).toEqual([]);
  });

  it('leaves a frozen backbone as it is, bit for bit, and the head entries that have no map', async () => {
    const before = await readBytes(await addon.createDetector(options), 'model');
    const { detector } = await trained({ optimizer: 'adamw', fineTune: false }, 5);
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([
      'head.classification_head.module_list.0.bias',
      'head.classification_head.module_list.0.weight',
      'head.regression_head.module_list.0.bias',
      'head.regression_head.module_list.0.weight',
    ]);
  });

  it('changes every tensor of the backbone when it is fine-tuned, and still no unused head entry', async () => {
    const before = await readBytes(await addon.createDetector(options), 'model');
    const { detector } = await trained({ optimizer: 'adamw', fineTune: true }, 2);
    const expected = [...before.keys()].filter((name) => !/module_list\.[1-5]\./.test(name)).sort();
    expect(changed(before, await readBytes(detector, 'model'))).toEqual(expected);
  });

  it('with a learning rate of 0 changes nothing', async () => {
    const before = await readBytes(await addon.createDetector(options), 'model');
    const { detector } = await trained({ optimizer: 'adamw', fineTune: true }, 2, 0);
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([]);
  });

  it('goes on from a saved state as if never interrupted', async () => {
    const whole = await trained({ optimizer: 'adamw', fineTune: true }, 4);
    const half = await trained({ optimizer: 'adamw', fineTune: true }, 2);
    const { detector: resumed } = await trained({ optimizer: 'adamw', fineTune: true }, 0);
    const batch = await batchOf();
    for (const part of ['model', 'optimizer'] as const) {
      const infos = await addon.describeState(half.detector, part);
      const values = await readFloats(half.detector, part);
      const tensors = infos.map(({ name, shape }) => [name, { data: values.get(name)!, shape }] as [string, Tensor]);
      await writeFloats(resumed, part, new Map(tensors));
    }
    const results = [await oneStep(resumed, batch, 1e-3), await oneStep(resumed, batch, 1e-3)];
    expect(results).toEqual(whole.results.slice(2));
    expect(changed(await readBytes(whole.detector, 'model'), await readBytes(resumed, 'model'))).toEqual([]);
  });
});

describe('a batch in parts', () => {
  const images = [...objects, { boxes: [], labels: [] }, { boxes: [[2, 3, 60, 60]], labels: [1] }, objects[1]!];

  async function step(microBatchSize?: number) {
    const detector = await weighted();
    const training = { optimizer: 'sgd', fineTune: true, ...(microBatchSize && { microBatchSize }) };
    await addon.startTraining(detector, training);
    const result = await oneStep(detector, await batchOf(images), 1e-2);
    return { result, bytes: await readBytes(detector, 'model'), floats: await readFloats(detector, 'model') };
  }

  it.each([1, 2, 3])('of %i has the losses and gradients of the whole', async (size) => {
    const [whole, parts] = [await step(), await step(size)];
    expect(parts.result.positives).toBe(whole.result.positives);
    expectClose(numbers(parts.result), numbers(whole.result), 1e-5);
    for (const [name, values] of whole.floats) expectClose(parts.floats.get(name)!, values, 1e-6);
    expect(changed(whole.bytes, parts.bytes).length).toBeGreaterThan(0); // it did go in parts
  });

  it('that fits is not divided: bit for bit the same', async () => {
    const [whole, one] = [await step(), await step(5)];
    expect(one.result).toEqual(whole.result);
    expect(changed(whole.bytes, one.bytes)).toEqual([]);
  });
});

describe('parameters with options of their own', () => {
  it('are stepped by them; a factor of 0 leaves them as they are', async () => {
    const before = await readBytes(await addon.createDetector(options), 'model');
    const names = [...before.keys()].filter((name) => name.startsWith('backbone.stages.1.'));
    const parameters = names.map((name) => ({ name, learningRateFactor: 0, weightDecay: 0.5 }));
    const { detector } = await trained({ optimizer: 'adamw', fineTune: true, parameters });
    const moved = changed(before, await readBytes(detector, 'model'));
    expect(names).toHaveLength(9);
    expect(moved).toEqual(
      [...before.keys()].filter((name) => !names.includes(name) && !/module_list\.[1-5]\./.test(name)).sort(),
    );
  });
});

describe('gradient clipping', () => {
  async function moves(clipGradNorm?: number) {
    const { step, gradients } = await gradientsOf(await addon.createDetector(options), await batchOf(), {
      ...(clipGradNorm && { clipGradNorm }),
    });
    return { gradient: [...gradients.values()].flatMap((values) => [...values]), norm: step.gradientNorm };
  }

  const length = (values: number[]) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

  it("is torch's clip_grad_norm_: all gradients together scaled to the bound, the norm told as it was", async () => {
    const free = await moves();
    expectClose([length(free.gradient)], [free.norm], 1e-4);
    const bound = free.norm / 8;
    const clipped = await moves(bound);
    expect(clipped.norm).toBe(free.norm);
    const scaled = free.gradient.map((value) => (value * bound) / (free.norm + 1e-6));
    expectClose(clipped.gradient, scaled, 1e-4 * bound);
  });

  it('leaves gradients within the bound alone', async () => {
    const free = await moves();
    expect((await moves(2 * free.norm)).gradient).toEqual(free.gradient);
  });
});

describe('a batch without objects', () => {
  it('gives a loss of 0, and SGD then changes nothing', async () => {
    const detector = await addon.createDetector(options);
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
    const before = await readBytes(detector, 'model');
    const batch = await batchOf([{ boxes: [], labels: [] }]);
    expect(await oneStep(detector, batch, 1)).toEqual({
      loss: 0,
      boxLoss: 0,
      classLoss: 0,
      gradientNorm: 0,
      positives: 0,
    });
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([]);
  });
});

describe('a loss that is not finite', () => {
  async function poisoned(name: string, value: number) {
    const detector = await addon.createDetector(options);
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
    await oneStep(detector, await batchOf(), 1e-3);
    const { shape } = (await addon.describeState(detector, 'model')).find((info) => info.name === name)!;
    const values = (await readFloats(detector, 'model')).get(name)!;
    values[0] = value;
    await writeFloats(detector, 'model', new Map([[name, { data: values, shape }]]));
    return detector;
  }

  it.each([
    ['head.classification_head.module_list.0.weight', Number.NaN, 'class loss'],
    ['head.regression_head.module_list.0.bias', Number.POSITIVE_INFINITY, 'box loss inf'],
    ['backbone.stages.2.1.pwconv1.weight', Number.NaN, 'nan'],
  ])('ends the step with its parts shown, weights and optimizer as they were: %s', async (name, value, words) => {
    const detector = await poisoned(name, value);
    const [model, optimizer] = [await readBytes(detector, 'model'), await readBytes(detector, 'optimizer')];
    const step = oneStep(detector, await batchOf(), 1e-3);
    await expectError(step, 'LOSS_NOT_FINITE', 'The loss is not finite', 'box loss', 'class loss', 'matched', words);
    expect(changed(model, await readBytes(detector, 'model'))).toEqual([]);
    expect(changed(optimizer, await readBytes(detector, 'optimizer'))).toEqual([]);
  });

  it('is told apart from a gradient that overflows behind a finite loss', async () => {
    const detector = await addon.createDetector(options);
    await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
    // The head takes the map back down: the loss stays finite, the gradient of the norm's weight does not.
    const infos = await addon.describeState(detector, 'model');
    const fill = (name: string, value: number): [string, Tensor] => {
      const { shape } = infos.find((info) => info.name === name)!;
      return [name, { data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value), shape }];
    };
    await writeFloats(
      detector,
      'model',
      new Map([
        fill('backbone.norm.weight', 1e-38),
        fill('backbone.norm.bias', 0),
        fill('head.classification_head.module_list.0.weight', 3e38),
      ]),
    );
    const before = await readBytes(detector, 'model');
    const step = oneStep(detector, await batchOf(), 1e-3);
    await expectError(step, 'LOSS_NOT_FINITE', 'The gradient (norm inf) is not finite', 'box loss');
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([]);
  });

  it('lets training go on with good weights', async () => {
    const name = 'head.classification_head.module_list.0.bias';
    const detector = await poisoned(name, Number.NaN);
    await expect(oneStep(detector, await batchOf(), 1e-3)).rejects.toThrow('not finite');
    await writeFloats(detector, 'model', new Map([[name, { data: new Float32Array(16), shape: [16] }]]));
    const result = await oneStep(detector, await batchOf(), 1e-3);
    expect(result.loss).toBeGreaterThan(0);
    const { scores } = await addon.detect(detector, await batchOf(), allDetections);
    expect(scores.every(Number.isFinite)).toBe(true);
  });
});

describe('wrong use', () => {
  it('refuses a step before training has started', async () => {
    const detector = await addon.createDetector(options);
    await expectError(oneStep(detector, await batchOf(), 1e-3), 'NATIVE_ERROR', 'before startTraining');
  });

  it('refuses an optimizer that it does not know', async () => {
    const detector = await addon.createDetector(options);
    await expectError(addon.startTraining(detector, { optimizer: 'lion', fineTune: true }), 'NATIVE_ERROR', '"lion"');
  });

  it('refuses images of another size', async () => {
    const { detector } = await trained({ optimizer: 'sgd', fineTune: true });
    const size = { width: 32, height: 128 }; // as many cells, and so default boxes, as 64x64
    const images = [{ data: imageOf('tall', size), ...size, flip: false }];
    const batch = await addon.createBatch({
      size,
      images,
      counts: Int32Array.of(0),
      boxes: new Float32Array(0),
      labels: new Int32Array(0),
    });
    const words = ['expected images of 64x64', '32x128'];
    await expectError(oneStep(detector, batch, 1e-3), 'NATIVE_ERROR', ...words);
    await expectError(addon.detect(detector, batch, allDetections), 'NATIVE_ERROR', ...words);
  });

  it('refuses a label beyond the classes, weights as they were', async () => {
    const { detector } = await trained({ optimizer: 'sgd', fineTune: true });
    const before = await readBytes(detector, 'model');
    const batch = await batchOf([{ boxes: [[1, 1, 20, 20]], labels: [4] }]);
    await expectError(oneStep(detector, batch, 1e-3), 'NATIVE_ERROR', 'out of bounds');
    expect(changed(before, await readBytes(detector, 'model'))).toEqual([]);
  });
});
