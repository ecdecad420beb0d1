import { describe, expect, it } from 'vitest';
import { Dataset } from '../../../lib/data/dataset.ts';
import { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { bccdRoot, hasBccd } from '../../support/shared.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const createDetector = () =>
  Detector.create({ classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 64, height: 64 } });

describe('Evaluator', () => {
  it('gives every metric, whatever the batch size, and reports progress', async () => {
    const dataset = await openSquares(await temporaryFolder(), 7);
    await using detector = await createDetector();
    const progress: number[][] = [];
    const onProgress = (done: number, total: number) => void progress.push([done, total]);
    const result = await new Evaluator(dataset, { batchSize: 3 }).evaluate(detector, { onProgress });
    expect(progress).toEqual([
      [3, 7],
      [6, 7],
      [7, 7],
    ]);
    expect(result.images).toBe(7);
    expect(result.coco.stats).toHaveLength(12);
    expect(result.perClass.map(({ label, groundTruths }) => [label, groundTruths])).toEqual([
      ['red', 3],
      ['blue', 3],
    ]);
    expect([result.map, result.map50]).toEqual([result.coco.ap, result.coco.ap50]);
    const { torchmetrics } = result.compat;
    expect(result.torchmetrics).toEqual(torchmetrics);
    for (const value of [result.voc2007, result.voc2010, torchmetrics.map, torchmetrics.map50]) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }
    const sides = dataset.samples.flatMap(({ objects, width, height }) =>
      objects.map(({ box }) => Math.sqrt(((box.xmax - box.xmin) / width) * ((box.ymax - box.ymin) / height))),
    );
    const counts = [0.05, 0.1, 0.2, 0.4, 0.8, 1.01].map(
      (end, i, ends) => sides.filter((side) => side < end && side >= (ends[i - 1] ?? 0)).length,
    );
    expect(result.bySide.map(({ groundTruths }) => groundTruths)).toEqual(counts);
    for (const { ap50, groundTruths } of result.bySide) expect(ap50 === -1).toBe(groundTruths === 0);
    const again = await new Evaluator(dataset, { batchSize: 7 }).evaluate(detector);
    expect(again.coco.ap).toBeCloseTo(result.coco.ap, 6);
  });

  it('measures the same on a data set that Dataset.from made of the same samples', async () => {
    const { classes, samples } = await openSquares(await temporaryFolder(), 4);
    await using detector = await createDetector();
    const own = await Dataset.from(
      samples.map(({ imagePath, objects }) => ({
        imagePath,
        objects: objects.map(({ label, box }) => ({ label, box })),
      })),
      { classes },
    );
    const foreign = { classes, samples, issues: [], length: 4 };
    const scores = (dataset: Dataset) => new Evaluator(dataset).evaluate(detector).then(({ coco }) => coco);
    expect(await scores(own)).toEqual(await scores(foreign));
    expect((await scores(own)).perClass.map(({ groundTruths }) => groundTruths)).toEqual([2, 2]);
  });

  it('stops with the reason of the signal', async () => {
    const dataset = await openSquares(await temporaryFolder(), 6);
    await using detector = await createDetector();
    const abort = new AbortController();
    const evaluation = new Evaluator(dataset, { batchSize: 2 }).evaluate(detector, {
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
    });
    await expect(evaluation).rejects.toThrow('enough');
  });

  it('refuses another class list and wrong options', async () => {
    const dataset = await openSquares(await temporaryFolder(), 2);
    await using other = await Detector.create({
      classes: ['__background__', 'blue', 'red'],
      backbone: 'convnext_test',
      imageSize: { width: 64, height: 64 },
    });
    await expectError(new Evaluator(dataset).evaluate(other), 'CHECKPOINT_MISMATCH', 'blue, red');
    expect(() => new Evaluator(dataset, { batchSize: 0 })).toThrow(RangeError);
    expect(() => new Evaluator({} as VocDataset)).toThrow('for dataset.classes');
    await expect(new Evaluator(dataset).evaluate({} as Detector)).rejects.toThrow('Expected Detector for detector');
  });
});

describe.skipIf(!hasBccd)('Evaluator on BCCD', () => {
  it('counts what is in the test split', async () => {
    const classes = ['__background__', 'RBC', 'WBC', 'Platelets'];
    const dataset = await VocDataset.open({ root: bccdRoot, split: 'test', classes });
    await using detector = await Detector.create({
      classes,
      backbone: 'convnext_test',
      imageSize: { width: 64, height: 64 },
    });
    const { images, perClass } = await new Evaluator(dataset).evaluate(detector);
    expect(images).toBe(72);
    const objects = perClass.reduce((sum, { groundTruths }) => sum + groundTruths, 0);
    expect(objects).toBe(dataset.samples.reduce((sum, sample) => sum + sample.objects.length, 0));
  });
});
