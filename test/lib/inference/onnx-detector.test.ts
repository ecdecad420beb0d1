import { execFile } from 'node:child_process';
import { mkdir, open, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as web from 'onnxruntime-web';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Detector } from '../../../lib/detector/detector.ts';
import { onnxSourceOf } from '../../../lib/detector/export.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { OnnxDetector } from '../../../lib/inference/onnx-detector.ts';
import { OnnxDetector as WebDetector } from '../../../lib/inference/web-detector.ts';
import { exportOnnx } from '../../../lib/onnx/export-onnx.ts';
import { checkOnnxOptions } from '../../../lib/onnx/export-options.ts';
import type { OnnxRuntime } from '../../../lib/onnx/runtime.ts';
import { compare, drawnImage } from '../../../lib/onnx/verify.ts';
import { formOptions } from '../../support/onnx-models.ts';
import { randomDetector } from '../../support/random-weights.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

let detector: Detector;
let jpeg: Buffer;
const { data, width, height } = drawnImage({ width: 300, height: 200 }, 4);
const raw = { data, width, height };
const one = { threads: 1 };

beforeAll(async () => {
  detector = await randomDetector(formOptions('pyramid'));
  jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
});
afterAll(() => detector.dispose());

async function exported(options = {}): Promise<string> {
  const path = join(await temporaryFolder(), 'detector.onnx');
  await exportDetector(detector, path, { format: 'onnx', verify: false, ...options });
  return path;
}

describe('OnnxDetector', () => {
  it.each(['inside', 'none'] as const)('nms %s: detects as Detector does', async (nms) => {
    await using loaded = await OnnxDetector.load(await exported({ nms }), one);
    expect(loaded.config).toEqual(detector.config);
    expect([loaded.device, loaded.precision]).toEqual(['cpu', 'fp32']);
    expect(loaded.classes).toEqual(detector.classes.slice(-5));
    for (const options of [{}, { scoreThreshold: 0.5, maxDetections: 7 }, { autoOrient: false }, { batchSize: 1 }]) {
      const result = compare(await detector.detect([jpeg, raw], options), await loaded.detect([jpeg, raw], options));
      expect(result).toMatchObject({ images: 2, unmatched: 0 });
      expect(result.detections).toBeGreaterThan(5);
      expect(result.box).toBeLessThan(1e-3);
      expect(result.score).toBeLessThan(1e-5);
    }
    const [alone] = await loaded.detect([raw]);
    expect(await loaded.detect(raw)).toEqual(alone);
    expect(await loaded.detect([])).toEqual([]);
  });

  it('annotates as Detector does, and takes the bytes of a file', async () => {
    await using loaded = await OnnxDetector.load(await readFile(await exported()), one);
    const found = await detector.detect(jpeg);
    expect((await loaded.annotate(jpeg, found)).equals(await detector.annotate(jpeg, found))).toBe(true);
    expect((await sharp(await loaded.annotate(jpeg)).metadata()).height).toBe(300);
  });

  it('refuses limits that a file with NMS inside does not have', async () => {
    await using inside = await OnnxDetector.load(await exported(), one);
    await expect(inside.detect(raw, { scoreThreshold: 0.001 })).rejects.toThrow(
      "Expected scoreThreshold >= 0.01, which is the limit of this ONNX file, but received 0.001. Export it with nms: 'none'",
    );
    await expect(inside.detect(raw, { maxDetections: 201 })).rejects.toThrow('Expected maxDetections <= 200');
    await using none = await OnnxDetector.load(await exported({ nms: 'none' }), one);
    const limits = { scoreThreshold: 0, maxDetections: 300 };
    const result = compare([await detector.detect(raw, limits)], [await none.detect(raw, limits)]);
    expect(result).toMatchObject({ detections: 300, unmatched: 0 });
  });

  it('rejects wrong arguments and images as Detector does', async () => {
    const path = await exported();
    await expect(OnnxDetector.load(path, { thread: 1 } as never)).rejects.toThrow('did you mean "threads"?');
    await expect(OnnxDetector.load(7 as never)).rejects.toThrow('Expected path or Uint8Array for file');
    await using loaded = await OnnxDetector.load(path, one);
    await expect(loaded.detect(raw, { batchSize: 0 })).rejects.toThrow('batchSize');
    await expectError(loaded.detect('none.jpg'), 'IMAGE_UNREADABLE', 'none.jpg');
    await expectError(loaded.detect(Buffer.from('GIF89a....')), 'IMAGE_UNSUPPORTED');
    await expectError(OnnxDetector.load(path, { executionProviders: ['abacus'] }), 'ONNX_RUNTIME_FAILED', 'abacus');
  });

  it('lets work end that is under way when it is disposed of', async () => {
    const loaded = await OnnxDetector.load(await exported(), one);
    const running = loaded.detect(raw);
    loaded.dispose();
    loaded.dispose();
    expect((await running).length).toBeGreaterThan(5);
    await expectError(loaded.detect(raw), 'DISPOSED', 'load another');
  });

  it('refuses files that are missing, too large or foreign at once', async () => {
    const folder = await temporaryFolder();
    await expectError(OnnxDetector.load(join(folder, 'none.onnx')), 'WEIGHTS_NOT_FOUND', 'none.onnx');
    await expectError(OnnxDetector.load(folder), 'ONNX_INVALID', 'it is a directory');
    const huge = join(folder, 'huge.onnx');
    await (await open(huge, 'w')).close();
    await truncate(huge, 10e9);
    const began = performance.now();
    await expectError(OnnxDetector.load(huge), 'ONNX_INVALID', '10000000000 bytes');
    expect(performance.now() - began).toBeLessThan(100);
    await writeFile(huge, 'not a model');
    await expectError(OnnxDetector.load(huge), 'ONNX_INVALID', 'huge.onnx');
  });

  it('takes weights from the file beside the model, and from no other', async () => {
    const path = join(await temporaryFolder(), 'detector.onnx');
    await exportOnnx(await onnxSourceOf(detector), path, { ...checkOnnxOptions({}), verify: false }, 1000);
    const loaded = await OnnxDetector.load(path, one);
    expect(compare([await detector.detect(raw)], [await loaded.detect(raw)])).toMatchObject({ unmatched: 0 });
    loaded.dispose();
    await expectError(OnnxDetector.load(await readFile(path)), 'ONNX_INVALID', 'give the path of the model');
    const weights = await readFile(`${path}.data`);
    weights[weights.length >> 1]! ^= 1;
    await writeFile(`${path}.data`, weights);
    await expectError(OnnxDetector.load(path), 'ONNX_INVALID', 'its SHA-256 is not the one');
    await rename(`${path}.data`, `${path}.moved`);
    await expectError(OnnxDetector.load(path), 'ONNX_INVALID', `${path}.data`);
    await mkdir(`${path}.data`);
    await expectError(OnnxDetector.load(path), 'ONNX_INVALID', 'it is not a file');
    const renamed = join(path, '..', 'other.onnx');
    await rename(path, renamed);
    await expectError(OnnxDetector.load(renamed), 'ONNX_INVALID', 'both named as they were exported');
  });

  it('needs neither LibTorch nor the addon', async () => {
    const program = `
      const { OnnxDetector } = await import('./lib/inference/onnx.ts');
      const detector = await OnnxDetector.load(process.argv[1], { threads: 1 });
      const data = new Uint8Array(64 * 64 * 3);
      const found = await detector.detect({ data, width: 64, height: 64 });
      const { readFileSync } = await import('node:fs');
      const maps = process.platform === 'linux' ? readFileSync('/proc/self/maps', 'utf8') : '';
      console.log(JSON.stringify([Array.isArray(found), /libtorch|dinov3_det/.test(maps)]));`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', program, '--', await exported()];
    const env = { ...process.env, LIBTORCH: '/nowhere' };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    expect(JSON.parse(stdout)).toEqual([true, false]);
  });
});

describe('OnnxDetector for pages, in Node', () => {
  const options = { runtime: web as unknown as OnnxRuntime, executionProviders: ['wasm'] };

  it.each(['inside', 'none'] as const)('nms %s: detects as Detector does', async (nms) => {
    const bytes = await readFile(await exported({ nms, input: 'float' }));
    await using loaded = await WebDetector.load(new Blob([bytes]), options);
    const result = compare([await detector.detect(raw)], [await loaded.detect(raw)]);
    expect(result).toMatchObject({ unmatched: 0 });
    expect(result.box).toBeLessThan(1e-3);
    expect(result.score).toBeLessThan(1e-5);
  });

  it('refuses what is no model, no image and no address', async () => {
    await expectError(WebDetector.load(new Blob(['text']), options), 'ONNX_INVALID');
    await expectError(WebDetector.load('http://127.0.0.1:9/model.onnx', options), 'WEIGHTS_NOT_FOUND', 'model.onnx');
    await expect(WebDetector.load(7 as never, options)).rejects.toThrow('Expected non-empty string for file');
    await using loaded = await WebDetector.load(await readFile(await exported()), options);
    await expect(loaded.detect(7 as never)).rejects.toThrow('Expected image for image');
    await expectError(loaded.detect('http://127.0.0.1:9/image.png'), 'IMAGE_UNREADABLE', 'image.png');
  });
});
