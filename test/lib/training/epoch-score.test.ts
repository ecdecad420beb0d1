import { expect, it } from 'vitest';
import type { EvaluationResult } from '../../../lib/evaluation/evaluator.ts';
import { epochScore } from '../../../lib/training/epoch-score.ts';

const evaluation = { map: 0.3481, compat: { torchmetrics: { map: 0.3479, map50: 0.6 } } } as EvaluationResult;

it("is COCO's mAP, and with the preset article the one by which the article's program chooses", () => {
  expect(epochScore(evaluation, 'ssd')).toBe(0.3481);
  expect(epochScore(evaluation, 'article')).toBe(0.3479);
});
