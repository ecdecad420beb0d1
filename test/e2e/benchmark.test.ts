import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../lib/cli/benchmark/side-by-side.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { drawnImage } from '../../lib/onnx/verify.ts';
import { cli } from '../support/cli.ts';
import { formOptions } from '../support/onnx-models.ts';
import { randomDetector } from '../support/random-weights.ts';
import { fixture, hasBccd } from '../support/shared.ts';
import { vocObject, vocXml, writeFiles } from '../support/voc.ts';

const names = [
  'LibTorch fp32',
  'LibTorch bf16',
  'ONNX Runtime fp32',
  'ONNX Runtime fp16',
  'ONNX Runtime Web fp32 (wasm)',
];

let folder: string;
let checkpoint: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  checkpoint = join(folder, 'checkpoint');
  await using detector = await randomDetector(formOptions('pyramid'));
  await detector.save(checkpoint);
  await writeDataset(detector);
});
afterAll(() => rm(folder, { recursive: true }));

/** Four images, whose ground truth is what the detector is surest of: its mAP is far from 0. */
async function writeDataset(detector: Detector): Promise<void> {
  const ids = [0, 1, 2, 3];
  for (const id of ids) {
    const image = drawnImage({ width: 160, height: 120 }, id);
    const found = await detector.detect(image, { scoreThreshold: 0.3, maxDetections: 12 });
    const objects = found.map(({ label, box }) =>
      vocObject(label.replaceAll('"', '&quot;'), ...([box.xmin, box.ymin, box.xmax, box.ymax] as const)),
    );
    const size = '<size><width>160</width><height>120</height><depth>3</depth></size>';
    const { width, height, data } = image;
    await writeFiles(folder, {
      [`data/JPEGImages/${id}.png`]: await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer(),
      [`data/Annotations/${id}.xml`]: vocXml(objects.join(''), size),
    });
  }
  await writeFiles(folder, { 'data/ImageSets/Main/val.txt': ids.join('\n') });
  await writeFile(
    join(folder, 'data.yaml'),
    `VOC_ROOT: ${folder}/data\nVALID_SPLIT: val\nCLASSES: ${JSON.stringify(['__background__', ...detector.classes.slice(-5)])}\n`,
  );
}

async function benchmark(...args: string[]): Promise<string> {
  const { code, out, error } = await cli(['benchmark', '--threads', '1', ...args]);
  expect(code, error).toBe(0);
  return out;
}

describe('dinov3-det benchmark', () => {
  it('measures every runtime on a data set, and says how far they are apart', async () => {
    const data = ['--data', join(folder, 'data.yaml'), '--images', '2'];
    const rows = JSON.parse(await benchmark('--checkpoint', checkpoint, ...data, '--json')) as Row[];
    expect(rows.map(({ name }) => name)).toEqual(names);
    for (const { name, error, measured, fileBytes, map } of rows) {
      expect(error, name).toBeUndefined();
      const { postprocess, ...positive } = measured!;
      for (const value of [...Object.values(positive), fileBytes]) expect(value, name).toBeGreaterThan(0);
      expect(postprocess, name).toBeGreaterThanOrEqual(0);
      expect(map, name).toBeGreaterThan(0.3);
    }
    const [first, bf16, full, half, web] = rows as [Row, Row, Row, Row, Row];
    expect(first.difference).toBeUndefined();
    for (const { map, difference } of [full, web]) {
      expect(Math.abs(map! - first.map!)).toBeLessThan(1e-4);
      expect(difference).toMatchObject({ unmatched: 0 });
      expect(difference!.detections).toBeGreaterThan(100);
      expect(difference!.box).toBeLessThan(1e-3);
      expect(difference!.score).toBeLessThan(1e-5);
    }
    for (const { difference } of [bf16, half]) expect(difference!.score).toBeGreaterThan(1e-5);
    expect(half.fileBytes).toBeLessThan(full.fileBytes);
  }, 300_000);

  it('draws images where there are none, and prints a table; a TorchScript backbone runs in LibTorch alone', async () => {
    const own = join(folder, 'torchscript');
    const backbone = { torchscript: fixture('torchscript/one_map.pt') };
    await using detector = await Detector.create({ ...formOptions('article'), backbone });
    await detector.save(own);
    const lines = (await benchmark('--checkpoint', own, '--images', '1')).trimEnd().split('\n');
    expect(lines[0]!.trim().split(/\s+/)).toEqual(
      'decode model postprocess images/s start memory file box score'.split(' '),
    );
    expect(lines.slice(1).map((line) => line.slice(0, 13))).toEqual(names.slice(0, 2));
    expect(lines[1]).toMatch(/ ms .* ms .* ms .* s .* MB .* MB +- +-$/);
  }, 300_000);
});

describe.skipIf(!hasBccd)(`a model that has learned${hasBccd ? '' : ' (skipped: no ../shared/data/bccd)'}`, () => {
  it('has the same AP in every runtime, to 0.2 points in float16', async () => {
    const run = join(folder, 'run');
    const small = ['--backbone', 'convnext_test', '--imgsz', '192', '160', '--epochs', '3', '--seed', '1'];
    const training = await cli(['train', '--config', 'configs/bccd.yaml', ...small, '--out-dir', run]);
    expect(training.code, training.error).toBe(0);
    const data = ['--data', 'configs/bccd.yaml', '--split', 'test', '--images', '1'];
    const rows = JSON.parse(await benchmark('--checkpoint', join(run, 'last'), ...data, '--json')) as Row[];
    const [first, , full, half, web] = rows as [Row, Row, Row, Row, Row];
    expect(first.map).toBeGreaterThan(0.02);
    for (const { map, difference } of [full, web]) {
      expect(Math.abs(map! - first.map!)).toBeLessThan(2e-4);
      expect(difference!.box).toBeLessThan(1e-3 * (640 / 192)); // in pixels of the image, not of the model's input
      expect(difference!.score).toBeLessThan(1e-5);
    }
    expect(Math.abs(half.map! - first.map!)).toBeLessThan(2e-3);
  }, 600_000);
});
