import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import type { BatchHandle, DetectorHandle, StatePart, StepResult, TrainingOptions } from '../../../lib/binding.ts';
import type { AssignerName, BoxLossName, ClassLossName } from '../../../lib/model/loss-options.ts';
import { fixture } from '../../support/shared.ts';
import { expectError } from '../../support/voc.ts';
import { addon, batchOf, changed, objects, options, readBytes, scoresFor } from '../detectors.ts';
import { loadTestAddon } from '../support.ts';

const test = await loadTestAddon();
const parts: StatePart[] = ['model', 'optimizer'];
const torchscript = await readFile(fixture('native/torchscript/batch_norm.pt'));
const batchNorm = { ...options, backbone: 'torchscript', torchscript };

/** What waits for a GPU, or has a shape that depends on values, which takes waiting too. */
const waiting = /item|nonzero|_local_scalar_dense|masked_select|unique|equal$|one_hot|pin_memory/;

describe('a training step', () => {
  const training = { optimizer: 'adamw', fineTune: true, clipGradNorm: 1, emaDecay: 0.9 };
  const flat = {
    counts: Int32Array.from(objects, ({ labels }) => labels.length),
    boxes: Float32Array.from(objects.flatMap(({ boxes }) => boxes.flat())),
    labels: Int32Array.from(objects.flatMap(({ labels }) => labels)),
  };
  const none = { counts: Int32Array.of(0, 0), boxes: new Float32Array(0), labels: new Int32Array(0) };

  it.each(
    (['ssd', 'retinanet', 'atss'] as AssignerName[]).flatMap((assigner) =>
      (['hard-negative', 'focal'] as ClassLossName[]).flatMap((classification) =>
        (['smooth-l1', 'l1', 'giou', 'diou', 'ciou'] as BoxLossName[]).map((box) => ({
          assigner,
          classification,
          box,
        })),
      ),
    ),
  )('never asks the device for a value: $assigner, $classification, $box', ({ assigner, classification, box }) => {
    const loss = { classification, box, backgroundNegatives: classification === 'hard-negative' };
    for (const given of [flat, none]) {
      const operators = test.stepOperators(
        { ...options, scores: scoresFor(classification) },
        { ...training, assigner, loss },
        given,
      );
      expect(operators).toEqual(expect.arrayContaining(['aten::_fused_adamw_', 'aten::lerp_', 'aten::isfinite']));
      expect(operators.filter((name) => waiting.test(name))).toEqual([]);
    }
  });

  it.each<[string, Partial<TrainingOptions>, Partial<typeof batchNorm>]>([
    ['SGD', { optimizer: 'sgd' }, {}],
    ['in parts', { microBatchSize: 1 }, {}],
    ['a frozen backbone', { fineTune: false }, {}],
    ['bfloat16', {}, { precision: 'bf16' }],
    ['drop path', { dropPath: 0.9 }, {}],
    ['batch norm', {}, batchNorm],
  ])('never asks the device for a value: %s', (_, training, detector) => {
    const given = { optimizer: 'adamw', fineTune: true, clipGradNorm: 1, emaDecay: 0.9, ...training };
    const operators = test.stepOperators({ ...options, ...detector }, given, flat);
    expect(operators).toContain(training.optimizer === 'sgd' ? 'aten::_fused_sgd_' : 'aten::_fused_adamw_');
    expect(operators.filter((name) => waiting.test(name))).toEqual([]);
  });
});

describe('results that are looked at every few steps', () => {
  const adamw = { optimizer: 'adamw', fineTune: true };

  async function train(
    training: TrainingOptions,
    rates: number[],
    detector?: DetectorHandle,
  ): Promise<{ detector: DetectorHandle; told: StepResult[][]; batch: BatchHandle }> {
    const handle = detector ?? (await addon.createDetector(options));
    await addon.startTraining(handle, training);
    const batch = await batchOf();
    const told: StepResult[][] = [];
    for (const [step, rate] of rates.entries()) told.push(await addon.trainStep(handle, batch, rate, step));
    return { detector: handle, told, batch };
  }

  const states = (detector: DetectorHandle) => Promise.all(parts.map((part) => readBytes(detector, part)));

  async function expectSame(one: DetectorHandle, other: DetectorHandle) {
    const [expected, actual] = [await states(one), await states(other)];
    expect(expected.map((part, i) => changed(part, actual[i]!))).toEqual([[], []]);
  }

  it.each<[string, TrainingOptions, typeof options]>([
    ['AdamW, clipped, averaged', { ...adamw, clipGradNorm: 1, emaDecay: 0.99 }, options],
    ['SGD, drop path', { optimizer: 'sgd', fineTune: true, dropPath: 0.5 }, options],
    ['in parts', { ...adamw, microBatchSize: 1 }, options],
    ['batch norm, averaged', { ...adamw, emaDecay: 0.9 }, batchNorm],
  ])('come in order, and all else is bit for bit the same: %s', async (_, training, of) => {
    const rates = [1e-3, 2e-3, 1e-3, 5e-4, 1e-3];
    const each = await train(training, rates, await addon.createDetector(of));
    const few = await train({ ...training, lookEvery: 2 }, rates, await addon.createDetector(of));
    expect(each.told.map(({ length }) => length)).toEqual([1, 1, 1, 1, 1]);
    expect(few.told.map(({ length }) => length)).toEqual([0, 2, 0, 2, 0]);
    const rest = await addon.finishSteps(few.detector);
    expect([...few.told.flat(), ...rest]).toEqual(each.told.flat());
    expect(await addon.finishSteps(few.detector)).toEqual([]);
    await expectSame(each.detector, few.detector);
  });

  /** Steps of which the third cannot but be bad: the second throws the weights away. */
  const rates = [1e-3, 1e30, 1e-3];

  it.each<[string, TrainingOptions, typeof options]>([
    ['AdamW, averaged', { ...adamw, emaDecay: 0.99 }, options],
    ['SGD', { optimizer: 'sgd', fineTune: true }, options],
    ['AdamW, batch norm', { ...adamw, emaDecay: 0.9 }, batchNorm],
  ])('end at a bad step, with weights and optimizer as they were before it: %s', async (_, training, of) => {
    const before = await train(training, rates.slice(0, 2), await addon.createDetector(of));
    const few = await train({ ...training, lookEvery: 5 }, [...rates, 1e-3], await addon.createDetector(of));
    expect(few.told.flat()).toEqual([]);
    const results = await addon.trainStep(few.detector, few.batch, 1e-3, 4);
    expect(results).toEqual(before.told.flat());
    await expectSame(before.detector, few.detector);
    const next = addon.trainStep(few.detector, few.batch, 1e-3, 5);
    await expectError(next, 'LOSS_NOT_FINITE', 'loss is not finite', 'last good values');
    await expectSame(before.detector, few.detector);
    expect(await addon.finishSteps(few.detector)).toEqual([]);
  });

  it('throw at once where the first step is bad, and training goes on with good weights', async () => {
    const { detector, batch } = await train({ ...adamw, lookEvery: 3 }, [1e-3]);
    await addon.finishSteps(detector);
    const good = await states(detector);
    await addon.trainStep(detector, batch, 1e30);
    await addon.finishSteps(detector);
    const bad = await states(detector);
    expect(changed(good[0]!, bad[0]!).length).toBeGreaterThan(0);
    for (const _ of [1, 2]) expect(await addon.trainStep(detector, batch, 1e-3)).toEqual([]);
    await expectError(addon.finishSteps(detector), 'LOSS_NOT_FINITE');
    expect(changed(bad[0]!, (await states(detector))[0]!)).toEqual([]);

    const fresh = await train({ ...adamw, lookEvery: 3 }, [1e-3, 1e-3, 1e-3]);
    const again = await train({ ...adamw, lookEvery: 3 }, [1e-3, 1e-3, 1e-3]);
    expect(again.told).toEqual(fresh.told);
  });

  it('are kept when a step in between cannot be done', async () => {
    const { detector, batch } = await train({ ...adamw, lookEvery: 3 }, [1e-3]);
    const wrong = await batchOf([{ boxes: [[1, 1, 20, 20]], labels: [4] }]);
    await expectError(addon.trainStep(detector, wrong, 1e-3), 'NATIVE_ERROR', 'label 4 is out of bounds');
    expect(await addon.trainStep(detector, batch, 1e-3)).toEqual([]);
    const each = await train(adamw, [1e-3, 1e-3]);
    expect(await addon.finishSteps(detector)).toEqual(each.told.flat());
  });

  it('are none before training has started', async () => {
    const detector = await addon.createDetector(options);
    await expectError(addon.finishSteps(detector), 'NATIVE_ERROR', 'finishSteps was called before startTraining');
  });
});
