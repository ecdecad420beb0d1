import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Detection } from '../../../lib/boxes/detection.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { layoutSafetensors, readSafetensorsHeader } from '../../../lib/weights/safetensors.ts';
import { imageOf, weight } from '../../native/support.ts';
import { backboneKeys, depths, extraKeys, headKeys } from '../../support/convnext-keys.ts';
import { temporaryFolder } from '../../support/voc.ts';

/** A Python with torch: where there is one, torch itself reads what is exported. */
const python = process.env.DINOV3_DET_TORCH_PYTHON;
const script = join(import.meta.dirname, '../../reference/load_export.py');

interface Loaded {
  beside: unknown;
  ordered: boolean;
  shared: boolean;
  /** SHA-256 of the tensors in the modules that the files were loaded into. */
  model: Record<string, string>;
  backbone: Record<string, string>;
  /** Of the TorchScript backbone to the module that `backbone` was loaded into. */
  difference: number;
  detector: {
    classes: string[];
    state: Record<string, string>;
    batch: Found[];
    alone: Found[];
    /** The best five of the first image, by a threshold that was set in Python. */
    first: Found;
    nothing: unknown[];
    types: Record<keyof Found, string>;
  };
}

interface Found {
  boxes: number[];
  scores: number[];
  labels: number[];
}

describe.skipIf(!python)('torch reads what is exported (DINOV3_DET_TORCH_PYTHON)', () => {
  it.each(['convnext_test', 'convnext_tiny'] as const)(
    '%s fits load_state_dict(strict=True), every tensor bit for bit',
    async (backbone) => {
      const folder = await temporaryFolder();
      const file = (name: string) => join(folder, name);
      const classes = ['__background__', 'a', 'b'];
      const size = { width: 64, height: 64 };
      await using detector = await Detector.create({
        classes,
        preset: 'article',
        backbone,
        imageSize: size,
        precision: 'fp32',
      });
      await detector.save(file('checkpoint'));
      await exportDetector(detector, file('model.pth'), { format: 'pth', epoch: 70_000 });
      await exportDetector(detector, file('backbone.pth'), { format: 'pth', part: 'backbone' });

      await exportDetector(detector, file('detector.pt'), { format: 'torchscript' });
      await exportDetector(detector, file('backbone.pt'), { format: 'torchscript', part: 'backbone' });
      const pictures = [0, 1, 2].map((n) => imageOf(`picture${n}`, size));
      await writeFile(file('pictures'), Buffer.concat(pictures));

      const files = ['model.pth', 'backbone.pth', 'detector.pt', 'backbone.pt', 'pictures'].map(file);
      const args = [script, backbone, `${classes.length}`, ...files];
      const loaded = JSON.parse(execFileSync(python!, args, { encoding: 'utf8' })) as Loaded;

      expect(loaded).toMatchObject({ beside: { epoch: 70_000 }, ordered: true, shared: true });
      const ours = await digests(file('checkpoint/model.safetensors'));
      const norm = ['weight', 'bias'].map((leaf) => ours.get(`backbone.norm.${leaf}`)!);
      const digestsOf = (names: readonly string[]) => names.map((name) => ours.get(name)!);
      const backboneDigests = digestsOf(backboneKeys('dinov3-det', depths[backbone]));
      const expected = (names: readonly string[], values: readonly string[]) =>
        Object.fromEntries(names.map((name, index) => [name, values[index]]));
      expect(loaded.model).toEqual(
        expected(
          [...backboneKeys('article', depths[backbone]), ...extraKeys.article, ...headKeys],
          [...backboneDigests, ...norm, ...digestsOf(headKeys)],
        ),
      );
      expect(loaded.backbone).toEqual(
        expected([...backboneKeys('dinov3', depths[backbone]), ...extraKeys.dinov3], [...backboneDigests, ...norm]),
      );

      expect(loaded.difference).toBeLessThan(1e-4);
      const { state, ...run } = loaded.detector;
      expect(state).toMatchObject(Object.fromEntries(ours));
      const buffers = Object.keys(state).filter((name) => !ours.has(name));
      expect(buffers.sort()).toEqual(['default_boxes', 'image_mean', 'image_std']);
      const types = { boxes: 'torch.float32', scores: 'torch.float32', labels: 'torch.int64' };
      expect(run).toMatchObject({ classes, nothing: [], types });
      const images = pictures.map((data) => ({ data, ...size }));
      const detections = await detector.detect(images, { scoreThreshold: detector.config.postprocess.scoreThreshold });
      for (const [i, expectedImage] of detections.entries()) {
        expect(expectedImage.length).toBeGreaterThan(5);
        expectDetections(run.batch[i]!, expectedImage, classes);
        expectDetections(run.alone[i]!, expectedImage, classes);
      }
      expectDetections(run.first, detections[0]!.slice(0, run.first.labels.length), classes);
      expect(run.first.labels).toHaveLength(4); // above the fifth's score, strictly
    },
    60_000,
  );
});

it.skipIf(!python)(
  'torch finds with an exported RetinaNet what we find (DINOV3_DET_TORCH_PYTHON)',
  async () => {
    const folder = await temporaryFolder();
    const classes = ['__background__', 'a', 'b'];
    const size = { width: 96, height: 64 };
    const options = {
      classes,
      backbone: 'convnext_test',
      imageSize: size,
      head: 'retinanet',
      precision: 'fp32',
    } as const;
    const weights = join(folder, 'weights.safetensors');
    await writeFile(weights, await patternWeights(options));
    await using detector = await Detector.create({ ...options, weights });
    const path = join(folder, 'detector.pt');
    await exportDetector(detector, path, { format: 'torchscript' });
    const pictures = [0, 1, 2].map((n) => imageOf(`picture${n}`, size));
    await writeFile(join(folder, 'pictures'), Buffer.concat(pictures));
    const images = pictures.map((data) => ({ data, ...size }));
    const all = await detector.detect(images, { scoreThreshold: 0, maxDetections: 300 });
    // Between the best twenty of the first image and the next.
    const scoreThreshold = (all[0]![19]!.score + all[0]![20]!.score) / 2;
    const program = `
import json, sys
sys.path.insert(0, sys.argv[1])
import load_export
report = load_export.run_detector(sys.argv[2], sys.argv[3], ${scoreThreshold})
print(json.dumps({key: report[key] for key in ('batch', 'alone')}))`;
    const args = ['-c', program, join(script, '..'), path, join(folder, 'pictures')];
    const { batch, alone } = JSON.parse(execFileSync(python!, args, { encoding: 'utf8' })) as Loaded['detector'];
    for (const [i, each] of all.entries()) {
      const found = each.filter(({ score }) => score > scoreThreshold);
      if (i === 0) expect(found).toHaveLength(20);
      expectDetections(batch[i]!, found, classes);
      expectDetections(alone[i]!, found, classes);
    }
  },
  60_000,
);

/** A safetensors file of weights that let every layer count. */
async function patternWeights(options: DetectorOptions): Promise<Buffer> {
  await using detector = await Detector.create(options);
  const { addon, handle } = internalsOf(detector);
  const { header, tensors, totalBytes } = layoutSafetensors(await addon.describeState(handle, 'model'));
  const file = Buffer.alloc(totalBytes);
  header.copy(file);
  for (const { name, shape, offset } of tensors) file.set(Buffer.from(weight(name, shape).data.buffer), offset);
  return file;
}

/** The same number, the same classes, boxes to a thousandth of a pixel. */
function expectDetections(found: Found, expected: readonly Detection[], classes: readonly string[]): void {
  expect(found.labels.map((label) => classes[label])).toEqual(expected.map(({ label }) => label));
  const boxes = expected.flatMap(({ box: { xmin, ymin, xmax, ymax } }) => [xmin, ymin, xmax, ymax]);
  expect(Math.max(...boxes.map((value, i) => Math.abs(value - found.boxes[i]!)))).toBeLessThan(1e-3);
  expect(Math.max(...expected.map(({ score }, i) => Math.abs(score - found.scores[i]!)))).toBeLessThan(1e-5);
}

/** SHA-256 of every tensor of a safetensors file. */
async function digests(path: string): Promise<Map<string, string>> {
  const { tensors } = await readSafetensorsHeader(path);
  const bytes = await readFile(path);
  return new Map(
    tensors.map(({ name, offset, byteLength }) => [
      name,
      createHash('sha256')
        .update(bytes.subarray(offset, offset + byteLength))
        .digest('hex'),
    ]),
  );
}
