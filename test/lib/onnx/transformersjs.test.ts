import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { env, pipeline, RawImage } from '@huggingface/transformers';
import { describe, expect, it } from 'vitest';
import { onnxSourceOf } from '../../../lib/detector/export.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { OnnxDetector } from '../../../lib/inference/onnx-detector.ts';
import { exportTransformersJs } from '../../../lib/onnx/transformersjs.ts';
import { drawnImage } from '../../../lib/onnx/verify.ts';
import { classes, type Form, formOptions } from '../../support/onnx-models.ts';
import { randomDetector } from '../../support/random-weights.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

interface Found {
  label: string;
  score: number;
  box: { xmin: number; ymin: number; xmax: number; ymax: number };
}

describe.each<Form>(['article', 'focal', 'retinanet', 'dense'])('the directory of %s for transformers.js', (form) => {
  it('is loaded by its pipeline, which finds the same objects', async () => {
    await using detector = await randomDetector(formOptions(form));
    const dir = join(await temporaryFolder(), 'model');
    const report = await exportDetector(detector, dir, { format: 'transformersjs' });
    expect(report.verification).toMatchObject({ images: 3, unmatched: 0 });
    expect(report.verification!.score).toBeLessThan(1e-5);
    expect((await readdir(dir, { recursive: true })).sort()).toEqual(
      ['config.json', 'onnx', 'onnx/model.onnx', 'onnx/model_fp16.onnx', 'preprocessor_config.json'].map((each) =>
        join(each),
      ),
    );

    // Of the model's own size: its resize is not ours.
    const { data, width, height } = drawnImage(detector.config.imageSize, 9);
    const { maxDetections } = detector.config.postprocess;
    const expected = await detector.detect({ data, width, height }, { scoreThreshold: 0.3, maxDetections });
    expect(expected.length).toBeGreaterThan(10);
    Object.assign(env, { allowRemoteModels: false, localModelPath: dirname(dir) });
    for (const [dtype, tolerance] of [
      ['fp32', 1e-4],
      ['fp16', 1e-2],
    ] as const) {
      const find = await pipeline('object-detection', basename(dir), {
        dtype,
        session_options: { intraOpNumThreads: 1 },
      });
      const image = new RawImage(new Uint8ClampedArray(data), width, height, 3);
      const found = (await find(image, { threshold: 0.3 })) as Found[];
      // Those beside the threshold may be on its other side.
      expect(Math.abs(found.length - expected.length)).toBeLessThanOrEqual(dtype === 'fp32' ? 0 : 5);
      const missing = expected.filter(
        ({ label, score, box }) =>
          score > 0.3 + tolerance &&
          !found.some(
            (other) =>
              other.label === label &&
              Math.abs(other.score - score) < tolerance &&
              (['xmin', 'ymin', 'xmax', 'ymax'] as const).every((side) => Math.abs(other.box[side] - box[side]) < 2),
          ),
      );
      // In float16 NMS may take the other of two equals.
      expect(missing.length, dtype).toBeLessThanOrEqual(dtype === 'fp32' ? 0 : 0.05 * expected.length);
      await find.dispose();
    }
    await using own = await OnnxDetector.load(join(dir, 'onnx', 'model.onnx'));
    expect(own.classes).toEqual(classes.slice(1));
    expect(await own.detect({ data, width, height }, { scoreThreshold: 0.3, maxDetections })).toHaveLength(
      expected.length,
    );
  });
});

describe('exportDetector to transformersjs', () => {
  it('takes an empty directory, and refuses one with something in it', async () => {
    await using detector = await randomDetector(formOptions('article'));
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'empty'));
    await exportDetector(detector, join(folder, 'empty'), { format: 'transformersjs', verify: false });
    const again = exportDetector(detector, join(folder, 'empty'), { format: 'transformersjs' });
    await expectError(again, 'OUTPUT_NOT_WRITABLE', join(folder, 'empty'), 'config.json is in it');
    await writeFile(join(folder, 'file'), 'mine');
    const onFile = exportDetector(detector, join(folder, 'file'), { format: 'transformersjs' });
    await expectError(onFile, 'OUTPUT_NOT_WRITABLE', join(folder, 'file'));
    expect((await readdir(folder)).sort()).toEqual(['empty', 'file']);
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('mine');
  });

  it('refuses weights that one file cannot hold, and leaves nothing', async () => {
    await using detector = await randomDetector(formOptions('article'));
    const folder = await temporaryFolder();
    const source = await onnxSourceOf(detector);
    const exporting = exportTransformersJs(source, join(folder, 'model'), { opset: 20, verify: false }, 100_000);
    await expect(exporting).rejects.toThrow(
      /^Expected at most 100000 bytes of weights for transformersjs, .* found \d+\. Export it as onnx/,
    );
    expect(await readdir(folder)).toEqual([]);
  });
});
