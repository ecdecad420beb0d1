import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VocDataset } from '../../../lib/data/voc-dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import { writeSafetensors } from '../../../lib/weights/safetensors.ts';
import { vetTorchScript } from '../../../lib/weights/torch/torchscript.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';

const options = {
  classes: squareClasses,
  preset: 'dense',
  backbone: 'convnext_test',
  imageSize: { width: 96, height: 64 },
} satisfies DetectorOptions;

let folder: string;
let data: VocDataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  data = await openSquares(folder, 20);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const runIn = (name: string, more: Partial<TrainerOptions> = {}): TrainerOptions => ({
  ...{ train: data, valid: data, outDir: join(folder, name), batchSize: 4 },
  ...more,
});
const sha = async (dir: string) =>
  JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')).files['model.safetensors'].sha256 as string;

describe('a detector with the preset dense', () => {
  it('learns, is saved, loaded and exported', async () => {
    const run = runIn('run', { epochs: 10, milestones: [] });
    await using detector = await Detector.create(options);
    const evaluator = new Evaluator(data);
    expect((await evaluator.evaluate(detector)).map50).toBeLessThan(0.2);
    await new Trainer(detector, run).run();
    await using best = await Detector.load(join(run.outDir, 'best'));
    expect(best.config).toEqual(detector.config);
    expect((await evaluator.evaluate(best)).map50).toBeGreaterThan(0.4);

    const path = data.samples[0]!.imagePath;
    const expected = await best.detect(path);
    const weights = join(folder, 'detector.safetensors');
    await exportDetector(best, weights, { format: 'safetensors' });
    await using loaded = await Detector.create({ classes: squareClasses, weights });
    expect(loaded.config).toEqual(best.config);
    expect(await loaded.detect(path)).toEqual(expected);
  }, 180_000);

  it('goes on bit for bit, with a moving average, a narrow head and bfloat16', async () => {
    const more = { epochs: 2, ema: 0.9, objectBalance: 0.5 };
    const narrow = { ...options, headWidth: 16, precision: 'bf16' } as const;
    await using whole = await Detector.create(narrow);
    const uninterrupted = runIn('whole', more);
    await new Trainer(whole, uninterrupted).run();

    await using first = await Detector.create(narrow);
    const stop = new AbortController();
    const parts = runIn('parts', more);
    const interrupted = new Trainer(first, parts).run({
      signal: stop.signal,
      onStep: ({ epoch, step }) => {
        if (epoch === 1 && step === 3) stop.abort();
      },
    });
    await expect(interrupted).rejects.toThrow();
    await using second = await Detector.load(join(parts.outDir, 'last'), { asTrained: true });
    expect(second.config.headWidth).toBe(16);
    await new Trainer(second, { ...runIn('parts'), epochs: 2, resume: true } as TrainerOptions).run();
    expect(await sha(join(parts.outDir, 'last'))).toBe(await sha(join(uninterrupted.outDir, 'last')));
  }, 180_000);

  it('trains neck and head alone on a frozen backbone', async () => {
    await using detector = await Detector.create({ ...options, headWidth: 8 });
    const { trainableParameters, totalParameters } = await detector.summary();
    const result = new Trainer(detector, runIn('frozen', { epochs: 1, fineTune: false })).run();
    await expect(result).resolves.toBeDefined();
    expect(trainableParameters).toBeLessThan(totalParameters);
  }, 60_000);

  it('is exported as a program, and not under the names of the article', async () => {
    await using detector = await Detector.create(options);
    const program = join(folder, 'detector.pt');
    await exportDetector(detector, program, { format: 'torchscript' });
    await expect(vetTorchScript(await readFile(program), program)).resolves.toBeUndefined();
    const pth = exportDetector(detector, join(folder, 'detector.pth'), { format: 'pth' });
    await expect(pth).rejects.toThrow(/the head ssd for the model as pth, found dense: .*safetensors or torchscript/);
  });

  it('has a layer table, of which the neck is the sum of its layers', async () => {
    for (const headWidth of [undefined, 16]) {
      await using detector = await Detector.create({ ...options, headWidth });
      const { rows, ...totals } = await detector.summary();
      const row = (name: string) => rows.find((candidate) => candidate.name.startsWith(name))!;
      const layers = rows.filter(({ name }) =>
        /^(projections|reduce_layers|top_down_blocks|downsamples|bottom_up_blocks|out_convs)\./.test(name),
      );
      expect(row('neck (DenseNeck)').parameters).toBe(layers.reduce((sum, { parameters }) => sum + parameters, 0));
      expect(row('head (DenseHead)').parameters).toBe(row('reg').parameters + row('cls').parameters);
      expect(totals.totalParameters).toBe(['backbone', 'neck', 'head'].reduce((sum, name) => sum + row(name).parameters, 0)); // biome-ignore format: one line
      expect(totals.defaultBoxes).toBe(12 * 8 + 6 * 4 + 3 * 2);
      const channels = headWidth ?? 48;
      expect(row('top_down_blocks.1')).toMatchObject({
        inputShape: [1, 2 * channels, 8, 12],
        outputShape: [1, channels, 8, 12],
      });
      expect(row('downsamples.1')).toMatchObject({
        inputShape: [1, 2 * channels, 4, 6],
        outputShape: [1, 2 * channels, 2, 3],
      });
    }
  });

  it("takes a file of mmdet's RTMDet on a ConvNeXt, whose shared convolutions are there once for each map", async () => {
    await using detector = await Detector.create({ ...options, seed: 3 });
    const { addon, handle } = internalsOf(detector);
    const infos = await addon.describeState(handle, 'model');
    const theirs = (name: string) =>
      name
        .replace(/^head\./, 'bbox_head.')
        .replace('.dwconv.', '.depthwise_conv.')
        .replace(/\.pwconv([12])\./, '.pointwise_conv$1.')
        .replace(/^backbone\.norms\.([12])\./, 'backbone.norm$1.')
        .replace(/^backbone\.norm\./, 'backbone.norm3.');
    const shared = infos.flatMap((info) => {
      const of = /^head\.(cls|reg)_convs\.0\.(\d\.conv\.weight)$/.exec(info.name);
      return of ? [1, 2].map((level) => ({ ...info, theirs: `bbox_head.${of[1]}_convs.${level}.${of[2]}` })) : [];
    });
    const all = [...infos.map((info) => ({ ...info, theirs: theirs(info.name) })), ...shared];
    const ours = new Map(all.map(({ name, theirs }) => [theirs, name]));
    const weights = join(folder, 'mmdet.safetensors');
    await writeSafetensors(weights, all.map(({ theirs: name, dtype, shape }) => ({ name, dtype, shape })), {}, (spans) =>
      addon.writeState(handle, 'model', weights, spans.map((span) => ({ ...span, name: ours.get(span.name)! }))),
    ); // biome-ignore format: calls in calls
    await using loaded = await Detector.create({ ...options, seed: 4, weights });
    expect(loaded.weightReport).toMatchObject({ source: 'mmdet', head: true, missing: [], unexpected: [], wrongShape: [] }); // biome-ignore format: one line
    const path = data.samples[0]!.imagePath;
    const limits = { scoreThreshold: 0.001 };
    expect(await loaded.detect(path, limits)).toEqual(await detector.detect(path, limits));
  });
});

describe('what does not go with a dense head', () => {
  it.each([
    [{ head: 'ssd' }, /dense with the preset dense/],
    [{ features: 'last' }, /pyramid with the head dense/],
    [{ fusion: 'fpn' }, /none with the head dense/],
    [{ scores: 'softmax' }, /sigmoid with the head dense/],
    [{ headWidth: 4 }, /headWidth/],
    [{ headWidth: 16.5 }, /headWidth/],
    [{ headWidth: 1e6 }, /headWidth/],
    [{ preset: 'ssd', headWidth: 64 }, /headWidth with the head ssd.*head to dense/],
    [{ defaultBoxes: { strides: [4, 8, 16] } }, /\[8,16,32\] for defaultBoxes\.strides/],
    [{ defaultBoxes: { strides: [16, 8] } }, /ascend/],
    [{ defaultBoxes: { sizes: [[32]], aspectRatios: [1] } }, /Expected strides .* received sizes/],
    [{ preset: 'ssd', defaultBoxes: { strides: [8, 16, 32] } }, /Expected aspectRatios and scales .* received strides/],
  ] as const)('is refused with a remedy: %j', async (more, message) => {
    const creating = Detector.create({ ...options, ...more } as DetectorOptions);
    await expect(creating).rejects.toThrow(message);
  });

  it.each([
    [{ loss: { classification: 'focal' } }, /quality with the head dense/],
    [{ loss: { box: 'smooth-l1' } }, /giou with the head dense/],
    [{ assigner: 'atss' }, /soft with the head dense/],
    [{ backgroundNegatives: true }, /quality, .* for backgroundNegatives/],
    [{ objectBalance: 1.5 }, /objectBalance/],
  ] as const)('is refused in a training: %j', async (more, message) => {
    await using detector = await Detector.create({ ...options, headWidth: 8 });
    expect(() => new Trainer(detector, runIn('never', more as Partial<TrainerOptions>))).toThrow(message);
  });

  it.each([
    [{ loss: { classification: 'quality' } }, /head to dense/],
    [{ assigner: 'soft' }, /head to dense/],
    [{ objectBalance: 0 }, /objectBalance .*head to dense/],
  ] as const)('is refused with another head: %j', async (more, message) => {
    await using detector = await Detector.create({ ...options, preset: 'ssd' });
    expect(() => new Trainer(detector, runIn('never', more as Partial<TrainerOptions>))).toThrow(message);
  });

  it('is a checkpoint of another width', async () => {
    await using narrow = await Detector.create({ ...options, headWidth: 8 });
    const weights = join(folder, 'narrow.safetensors');
    await exportDetector(narrow, weights, { format: 'safetensors' });
    await using taken = await Detector.create({ classes: squareClasses, weights });
    expect(taken.config.headWidth).toBe(8);
    await using other = await Detector.create({ ...options, headWidth: 16, weights });
    expect(other.weightReport).toMatchObject({ head: false });
  });
});
