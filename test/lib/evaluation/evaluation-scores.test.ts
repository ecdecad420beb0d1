import { expect, test } from 'vitest';

import { cocoAveragePrecision, torchmetricsMeanAveragePrecision } from '../../../lib/evaluation/average-precision.ts';
import { scoreImages } from '../../../lib/evaluation/evaluation-scores.ts';
import { vocAveragePrecision } from '../../../lib/evaluation/voc-average-precision.ts';
import { evaluatedImage, randomSet } from '../../support/evaluated-images.ts';

test.each([0, 4])('all metrics from one table are those of each alone (grid %i)', async (grid) => {
  const images = randomSet(7, { images: 40, classes: 5, objects: 6, grid, flagged: 0.1 });
  const scores = await scoreImages(images);
  expect(scores.coco).toEqual(await cocoAveragePrecision(images));
  expect(scores.torchmetrics).toEqual(await torchmetricsMeanAveragePrecision(images));
  expect(scores.voc).toEqual(await vocAveragePrecision(images));
  expect(scores.coco.ap).toBeGreaterThan(0.1);
});

test('a wrong image is named', async () => {
  const wrong = evaluatedImage([[1, Number.NaN, 0, 0, 1, 1]], []);
  await expect(scoreImages([evaluatedImage([], []), wrong])).rejects.toThrow('images[1].detections.scores[0]');
});
