import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Size } from '../../../lib/boxes/box.ts';
import type { Detection } from '../../../lib/boxes/detection.ts';
import { filledArea } from '../../../lib/boxes/letterbox.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import type { RgbImage } from '../../../lib/images/image.ts';
import { OnnxDetector } from '../../../lib/inference/onnx-detector.ts';
import { compare, drawnImage } from '../../../lib/onnx/verify.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import { rewriteManifest } from '../../support/manifests.ts';
import { openSquares, squareClasses } from '../../support/squares.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const input = { width: 128, height: 96 };
const options = {
  classes: squareClasses,
  backbone: 'convnext_test',
  imageSize: input,
  seed: 3,
} satisfies DetectorOptions;
const letterbox = { ...options, resize: 'letterbox' } satisfies DetectorOptions;
const all = { scoreThreshold: 0, maxDetections: 500 };

/** An image in the upper left corner of grey ones of the input's size. */
function padded({ data, width, height }: RgbImage): RgbImage {
  const grey = new Uint8Array(input.width * input.height * 3).fill(114);
  for (let y = 0; y < height; y++) {
    grey.set(data.subarray(3 * y * width, 3 * (y + 1) * width), 3 * y * input.width);
  }
  return { data: grey, ...input };
}

/** Worked out here again: in the image's pixels, clipped to it, without those in the grey. */
function fromInput(detections: readonly Detection[], image: Size): Detection[] {
  const area = filledArea(image, input, 'letterbox');
  const [sx, sy] = [image.width / area.width, image.height / area.height];
  return detections
    .filter(({ box }) => (area.width === input.width || box.xmin < area.width) && (area.height === input.height || box.ymin < area.height)) // biome-ignore format: one rule
    .map(({ box: { xmin, ymin, xmax, ymax }, ...detection }) => ({
      ...detection,
      box: {
        xmin: Math.min(xmin, area.width) * sx,
        ymin: Math.min(ymin, area.height) * sy,
        xmax: Math.min(xmax, area.width) * sx,
        ymax: Math.min(ymax, area.height) * sy,
      },
    }));
}

const rounded = (detections: readonly Detection[]) =>
  detections.map(({ label, score, box }) => [
    label,
    score,
    ...Object.values(box).map((side) => Math.round(100 * side)),
  ]);

describe.each(['ssd', 'dense'] as const)('a letterboxed detector, preset %s', (preset) => {
  it('finds what it would find in the image padded by hand', async () => {
    await using boxed = await Detector.create({ ...letterbox, preset });
    await using plain = await Detector.create({ ...options, preset });
    const sizes = [
      [128, 50],
      [60, 96],
      [128, 96],
      [1, 96],
      [128, 3],
    ];
    for (const [i, [width, height]] of sizes.entries()) {
      const image = drawnImage({ width: width!, height: height! }, i);
      const expected = fromInput(await plain.detect(padded(image), { ...all, maxDetections: 100_000 }), image);
      const found = await boxed.detect(image, all);
      expect(found.length).toBeGreaterThan(0);
      expect(rounded(found)).toEqual(rounded(expected.slice(0, all.maxDetections)));
    }
  });

  it('has every box inside of the image, whatever its size', async () => {
    await using detector = await Detector.create({ ...letterbox, preset });
    for (let i = 0; i < 20; i++) {
      const size = { width: 1 + ((i * 7919) % 700), height: 1 + ((i * 104_729) % 500) };
      for (const { box } of await detector.detect(drawnImage(size, i), all)) {
        expect(box.xmin >= 0 && box.ymin >= 0).toBe(true);
        expect(box.xmax).toBeLessThanOrEqual(size.width * (1 + 1e-6));
        expect(box.ymax).toBeLessThanOrEqual(size.height * (1 + 1e-6));
      }
    }
  });
});

it('is trained, evaluated, saved, loaded and gone on with, and no other resize goes on with it', async () => {
  const folder = await temporaryFolder();
  const data = await openSquares(folder, 20);
  const run = { train: data, valid: data, outDir: join(folder, 'run'), batchSize: 4, epochs: 8, milestones: [] };
  const square = { ...letterbox, imageSize: { width: 96, height: 96 } };
  await using detector = await Detector.create(square);
  await new Trainer(detector, { ...run, augmentation: { scaleJitter: { p: 0.3, scaleRange: [0.7, 1.4] } } }).run();
  await using best = await Detector.load(join(run.outDir, 'best'));
  expect(best.config).toEqual(detector.config);
  expect(best.config.resize).toBe('letterbox');
  expect((await new Evaluator(data).evaluate(best)).map50).toBeGreaterThan(0.4);
  expect(await readFile(join(run.outDir, 'settings.yaml'), 'utf8')).toContain('resize: letterbox');

  const weights = join(folder, 'detector.safetensors');
  await exportDetector(best, weights, { format: 'safetensors' });
  await using taken = await Detector.create({ classes: squareClasses, weights });
  expect(taken.config.resize).toBe('letterbox');

  await using stretched = await Detector.create({ ...square, resize: 'stretch' });
  const resumed = new Trainer(stretched, { ...run, resume: true }).run();
  await expectError(resumed, 'CHECKPOINT_MISMATCH', 'resize');
}, 120_000);

it('a checkpoint that says nothing of it is stretched', async () => {
  const dir = join(await temporaryFolder(), 'checkpoint');
  await using detector = await Detector.create(options);
  await detector.save(dir);
  expect(await readFile(join(dir, 'checkpoint.json'), 'utf8')).not.toContain('resize');
  await using loaded = await Detector.load(dir);
  expect(loaded.config).not.toHaveProperty('resize');
});

it('a checkpoint that says something else is refused', async () => {
  const dir = join(await temporaryFolder(), 'checkpoint');
  await using detector = await Detector.create(letterbox);
  await detector.save(dir);
  await rewriteManifest(dir, (manifest) => ({ ...manifest, model: { ...manifest.model, resize: 'crop' } }));
  await expectError(Detector.load(dir), 'CHECKPOINT_CORRUPT', 'model.resize', 'crop');
});

describe('its exports', () => {
  it('as ONNX find the same, in Node and in a page alike, with NMS inside and outside', async () => {
    const folder = await temporaryFolder();
    await using detector = await Detector.create(letterbox);
    for (const nms of ['inside', 'none'] as const) {
      const path = join(folder, `${nms}.onnx`);
      const { verification } = await exportDetector(detector, path, { format: 'onnx', nms });
      expect(verification!.box).toBeLessThan(0.05);
      await using onnx = await OnnxDetector.load(path);
      expect(onnx.config).toEqual(detector.config);
      // NMS inside counts its most detections with those in the grey, of which a random model has many.
      const sizes: [number, number][] = nms === 'inside' ? [[256, 190]] : [[200, 70], [50, 300], [128, 96]]; // biome-ignore format: one line
      for (const [width, height] of sizes) {
        const image = drawnImage({ width, height }, width);
        const limits = { scoreThreshold: 0.3, maxDetections: 20 };
        const difference = compare([await detector.detect(image, limits)], [await onnx.detect(image, limits)]);
        expect(difference).toMatchObject({ unmatched: 0 });
        expect(difference.box).toBeLessThan(0.1);
      }
    }
  }, 60_000);

  it('for transformers.js are refused, with the way to one that works', async () => {
    await using detector = await Detector.create(letterbox);
    const writing = exportDetector(detector, join(await temporaryFolder(), 'model'), { format: 'transformersjs' });
    await expect(writing).rejects.toThrow(/resize stretch.*letterbox.*Export it as onnx/);
  });
});

it.each([['crop'], [1], [{}]])('%j is refused', async (resize) => {
  await expect(Detector.create({ ...options, resize } as never)).rejects.toThrow(/resize/);
});
