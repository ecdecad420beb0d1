import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { boxIou } from '../../../lib/boxes/box.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { writeState } from '../../../lib/detector/model-state.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import type { TrainerOptions } from '../../../lib/training/trainer-options.ts';
import { readSafetensorsHeader } from '../../../lib/weights/safetensors.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { temporaryFolder } from '../../support/voc.ts';

const options = {
  classes: squareClasses,
  preset: 'dense',
  backbone: 'convnext_test',
  imageSize: { width: 96, height: 64 },
  headWidth: 16,
  endToEnd: true,
} satisfies DetectorOptions;

async function prepare() {
  const folder = await temporaryFolder();
  const data = await openSquares(folder, 20);
  const runIn = (name: string, more: Partial<TrainerOptions> = {}): TrainerOptions => ({
    ...{ train: data, valid: data, outDir: join(folder, name), batchSize: 4, epochs: 1 },
    ...more,
  });
  return { folder, data, runIn };
}

async function stateOf(detector: Detector): Promise<Map<string, Buffer>> {
  const path = join(await temporaryFolder(), 'state.safetensors');
  const { addon, handle } = internalsOf(detector);
  await writeState(addon, handle, 'model', path);
  const bytes = await readFile(path);
  const { tensors } = await readSafetensorsHeader(path);
  return new Map(tensors.map(({ name, offset, byteLength }) => [name, bytes.subarray(offset, offset + byteLength)]));
}

const isTwin = (name: string) => name.startsWith('head.one_to_one.');

describe('a detector that is made end to end', () => {
  it('learns to give each object one box, without NMS', async () => {
    const { data, runIn, folder } = await prepare();
    await using detector = await Detector.create({ ...options, headWidth: null });
    await new Trainer(detector, runIn('run', { epochs: 14, milestones: [] })).run();
    await using best = await Detector.load(join(runIn('run').outDir, 'best'));
    expect(best.config.endToEnd).toBe(true);
    const { map50 } = await new Evaluator(data).evaluate(best);
    expect(map50).toBeGreaterThan(0.4);

    const weights = join(folder, 'detector.safetensors');
    await exportDetector(best, weights, { format: 'safetensors' });
    await using many = await Detector.create({ classes: squareClasses, weights, endToEnd: false });
    expect((await new Evaluator(data).evaluate(many)).map50).toBeGreaterThan(0.4);
    expect(many.config).not.toHaveProperty('endToEnd');
  }, 240_000);

  it('trains the first branch as if the second were not there', async () => {
    const { runIn } = await prepare();
    await using twin = await Detector.create(options);
    await using single = await Detector.create({ ...options, endToEnd: false });
    const before = await stateOf(twin);
    for (const [name, bytes] of await stateOf(single)) expect(before.get(name)!.equals(bytes), name).toBe(true);

    const more = { clipGradNorm: null }; // which is about all gradients together
    await new Trainer(twin, runIn('twin', more)).run();
    await new Trainer(single, runIn('single', more)).run();
    const [after, expected] = [await stateOf(twin), await stateOf(single)];
    for (const [name, bytes] of expected) expect(after.get(name)!.equals(bytes), name).toBe(true);
    const learning = [...after.keys()].filter((name) => isTwin(name) && name.includes('rtm_cls'));
    expect(learning.length).toBeGreaterThan(0);
    for (const name of learning) expect(after.get(name)!.equals(before.get(name)!), name).toBe(false);
  }, 120_000);

  it('has the gradients of a whole batch where it is accumulated, in both branches', async () => {
    const { runIn } = await prepare();
    const first: { loss: number; gradientNorm: number }[] = [];
    for (const parts of [{ batchSize: 4 }, { batchSize: 1, accumulate: 4 }, { batchSize: 3, accumulate: 2 }]) {
      await using detector = await Detector.create({ ...options, precision: 'fp32' });
      const run = runIn(JSON.stringify(parts), { ...parts, objectBalance: 0, flipProbability: 0, seed: 3 });
      await new Trainer(detector, run).run({
        onStep: ({ step, loss, gradientNorm }) => {
          if (step === 1) first.push({ loss, gradientNorm });
        },
      });
    }
    const [whole, quarters] = first;
    expect(quarters!.loss).toBeCloseTo(whole!.loss, 4);
    expect(quarters!.gradientNorm / whole!.gradientNorm).toBeCloseTo(1, 3);
  }, 120_000);

  it('goes on bit for bit', async () => {
    const { runIn } = await prepare();
    const sha = async (dir: string) =>
      JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')).files['model.safetensors'].sha256 as string;
    await using whole = await Detector.create(options);
    await new Trainer(whole, runIn('whole', { epochs: 2, ema: 0.9 })).run();
    await using first = await Detector.create(options);
    const stop = new AbortController();
    const interrupted = new Trainer(first, runIn('parts', { epochs: 2, ema: 0.9 })).run({
      signal: stop.signal,
      onStep: ({ epoch, step }) => {
        if (epoch === 2 && step === 2) stop.abort();
      },
    });
    await expect(interrupted).rejects.toThrow();
    const { outDir } = runIn('parts');
    await using second = await Detector.load(join(outDir, 'last'), { asTrained: true });
    await new Trainer(second, { ...runIn('parts'), epochs: 2, resume: true }).run();
    expect(await sha(join(outDir, 'last'))).toBe(await sha(join(runIn('whole').outDir, 'last')));
  }, 120_000);

  it('detects overlapping boxes of a class, which NMS would not leave', async () => {
    await using detector = await Detector.create(options);
    const image = { data: new Uint8Array(96 * 64 * 3).fill(90), width: 96, height: 64 };
    const found = await detector.detect(image, { scoreThreshold: 0, maxDetections: 50 });
    expect(found).toHaveLength(50);
    const overlap = found.flatMap((a, i) =>
      found.slice(i + 1).map((b) => (a.label === b.label ? boxIou(a.box, b.box) : 0)),
    );
    expect(Math.max(...overlap)).toBeGreaterThan(0.65);
  });

  it('has both branches in its layer table, and is exported as a program', async () => {
    const { folder } = await prepare();
    await using detector = await Detector.create(options);
    await using single = await Detector.create({ ...options, endToEnd: false });
    const parameters = async (of: Detector) => {
      const { rows, totalParameters } = await of.summary();
      const sum = ['backbone', 'neck', 'head'].map((name) => rows.find((row) => row.name.startsWith(name))!.parameters);
      expect(sum.reduce((a, b) => a + b, 0)).toBe(totalParameters);
      const head = rows.find(({ name }) => name.startsWith('head'))!;
      expect(rows.find(({ name }) => name === 'cls')!.parameters + rows.find(({ name }) => name === 'reg')!.parameters).toBe(head.parameters); // biome-ignore format: one line
      return head.parameters;
    };
    expect(await parameters(detector)).toBe(2 * (await parameters(single)));
    await exportDetector(detector, join(folder, 'detector.pt'), { format: 'torchscript' });
    const onnx = exportDetector(detector, join(folder, 'detector.onnx'), { format: 'onnx' });
    await expect(onnx).rejects.toThrow(/endToEnd/);
  });

  it.each([
    [{ preset: 'ssd', headWidth: null }, /endToEnd.*head to dense/],
    [{ nms: 'diou' }, /no NMS with endToEnd.*Leave one of them out/],
    [{ endToEnd: 'yes' }, /endToEnd/],
  ])('is refused with %j', async (more, message) => {
    await expect(Detector.create({ ...options, ...more } as never)).rejects.toThrow(message);
  });
});
