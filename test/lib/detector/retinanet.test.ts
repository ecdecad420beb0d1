import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import { vetTorchScript } from '../../../lib/weights/torch/torchscript.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';

/** Anchors of the size of the squares: those of torchvision begin at 32 pixels. */
const defaultBoxes = { sizes: [[16], [32], [64], [128], [256]], aspectRatios: [1] };
const options = {
  classes: squareClasses,
  backbone: 'convnext_test',
  imageSize: { width: 96, height: 64 },
  head: 'retinanet',
  defaultBoxes,
} satisfies DetectorOptions;

let folder: string;
let data: VocDataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  data = await openSquares(folder, 20);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a detector with the head of RetinaNet', () => {
  it('learns, is interrupted, goes on, and is saved, loaded and exported', async () => {
    const outDir = join(folder, 'run');
    const run = {
      ...{ train: data, valid: data, outDir, batchSize: 4, fineTune: true },
      ...{ learningRate: 5e-4, warmupSteps: 10, clipGradNorm: 1, milestones: [] },
    };
    await using detector = await Detector.create(options);
    const evaluator = new Evaluator(data);
    expect((await evaluator.evaluate(detector)).torchmetrics.map50).toBeLessThan(0.1);
    await new Trainer(detector, { ...run, epochs: 3 }).run();

    await using resumed = await Detector.load(join(outDir, 'last'));
    expect(resumed.config).toEqual(detector.config);
    await new Trainer(resumed, { ...run, epochs: 8, resume: true }).run();
    await using best = await Detector.load(join(outDir, 'best'));
    const { map50 } = (await evaluator.evaluate(best)).torchmetrics;
    expect(map50).toBeGreaterThan(0.4);

    const expected = await best.detect(data.samples[0]!.imagePath);
    const weights = join(folder, 'detector.safetensors');
    await exportDetector(best, weights, { format: 'safetensors' });
    await using loaded = await Detector.create({ classes: squareClasses, weights });
    expect(await loaded.detect(data.samples[0]!.imagePath)).toEqual(expected);
  }, 180_000);

  it('is exported as a program, and not under the names of the article', async () => {
    await using detector = await Detector.create(options);
    const program = join(folder, 'detector.pt');
    await exportDetector(detector, program, { format: 'torchscript' });
    await expect(vetTorchScript(await readFile(program), program)).resolves.toBeUndefined();
    const pth = exportDetector(detector, join(folder, 'detector.pth'), { format: 'pth' });
    await expect(pth).rejects.toThrow(
      /the head ssd for the model as pth, found retinanet: .*safetensors or torchscript/,
    );
    const backbone = exportDetector(detector, join(folder, 'backbone.pth'), { format: 'pth', part: 'backbone' });
    await expect(backbone).resolves.toBeDefined();
  });

  it('has a layer table', async () => {
    await using detector = await Detector.create({ ...options, defaultBoxes: undefined } as never);
    const { rows, ...totals } = await detector.summary();
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['RetinaNet', 'neck (FeaturePyramid)', 'head (RetinaNetHead)']),
    );
    const shapes = rows.map(({ name, inputShape, outputShape }) => `${name}: ${inputShape} > ${outputShape}`);
    expect(shapes).toEqual(
      expect.arrayContaining([
        'neck (FeaturePyramid): 1,48,8,12 > 1,192,1,1',
        'extra_blocks.p6: 1,192,2,3 > 1,192,1,2',
        'extra_blocks.p7: 1,192,1,2 > 1,192,1,1',
      ]),
    );
    const row = (name: string) => rows.find((candidate) => candidate.name.startsWith(name))!.parameters;
    expect(row('extra_blocks.p7')).toBe(9 * 192 * 192 + 192);
    expect(row('classification_head')).toBe(4 * (9 * 192 * 192 + 192) + 9 * 192 * 27 + 27);
    expect(totals.defaultBoxes).toBe(9 * (12 * 8 + 6 * 4 + 3 * 2 + 2 + 1));
    expect(totals.trainableParameters).toBe(row('neck') + row('head'));
  });
});
