import { describe, expect, it } from 'vitest';
import { readEarlierLoss, readRunLearning } from '../../../lib/model/loss-options.ts';
import { resolveLearning, scoresOf } from '../../../lib/model/scores.ts';

describe('resolveLearning', () => {
  it("fills in torchvision's SSD", () => {
    expect(resolveLearning({}, {})).toEqual({
      loss: { classification: 'hard-negative', box: 'smooth-l1', backgroundNegatives: false },
      assigner: 'ssd',
    });
    expect(resolveLearning({ loss: { box: 'ciou' } }, {}).loss).toMatchObject({
      classification: 'hard-negative',
      box: 'ciou',
    });
  });

  it('takes what the head and its scores need', () => {
    expect(resolveLearning({ loss: { box: 'giou' } }, { scores: 'sigmoid' })).toEqual({
      loss: { classification: 'focal', box: 'giou', backgroundNegatives: false },
      assigner: 'ssd',
    });
    expect(resolveLearning({}, { head: 'retinanet' })).toEqual({
      loss: { classification: 'focal', box: 'l1', backgroundNegatives: false },
      assigner: 'retinanet',
    });
    expect([scoresOf({}), scoresOf({ head: 'retinanet' })]).toEqual(['softmax', 'sigmoid']);
  });

  it('refuses a class loss for other scores, and background negatives under focal', () => {
    expect(() => resolveLearning({ loss: { classification: 'focal' } }, {})).toThrow(
      `Expected hard-negative with a detector whose scores are a softmax for loss.classification but received "focal" of type string. Leave it out, or create the detector with scores: 'sigmoid'`,
    );
    expect(() => resolveLearning({ loss: { classification: 'hard-negative' } }, { head: 'retinanet' })).toThrow(
      'Expected focal with the head retinanet, whose scores are sigmoids, for loss.classification',
    );
    expect(() => resolveLearning({ backgroundNegatives: true }, { scores: 'sigmoid' })).toThrow(
      'false with the classification loss focal, which takes every default box of every image, for backgroundNegatives',
    );
  });
});

describe('a loss of an earlier version', () => {
  it('becomes options of a run', () => {
    const loss = { classification: 'hard-negative', box: 'giou', backgroundNegatives: true };
    expect(readEarlierLoss('loss', loss)).toEqual({
      loss: { classification: 'hard-negative', box: 'giou' },
      backgroundNegatives: true,
    });
    expect(readEarlierLoss('loss', {})).toEqual({ loss: {} });
    expect(readRunLearning({ assigner: 'atss', batchSize: 4 })).toEqual({ assigner: 'atss' });
  });

  it.each([
    [{ classification: 'vocal' }, 'loss.classification', 'did you mean "focal"?'],
    [{ box: 'iou' }, 'one of smooth-l1, l1, giou, diou, ciou for loss.box'],
    [{ backgroundNegatives: 1 }, 'boolean for loss.backgroundNegatives'],
    [{ classes: 'focal' }, 'Unknown key "classes"'],
    ['focal', 'object for loss'],
    [null, 'object for loss'],
    [{ classification: 'focal', backgroundNegatives: true }, 'false with the classification loss focal', 'every image'],
  ])('refuses %o', (value, ...words) => {
    for (const word of words) expect(() => readEarlierLoss('loss', value)).toThrow(word);
  });
});
