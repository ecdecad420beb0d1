import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Detector } from '../../../lib/detector/detector.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { createDetectorHost, DetectorHost } from '../../../lib/electron/host.ts';
import { compare, drawnImage } from '../../../lib/onnx/verify.ts';
import { formOptions } from '../../support/onnx-models.ts';
import { randomDetector } from '../../support/random-weights.ts';
import { expectError } from '../../support/voc.ts';
import { launchers } from './services.ts';

let folder: string;
let file: string;
let here: Detector;
const image = drawnImage({ width: 150, height: 100 }, 3);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  file = join(folder, 'detector.onnx');
  here = await randomDetector(formOptions('pyramid'));
  await exportDetector(here, file, { format: 'onnx', verify: false });
});
afterAll(async () => {
  here.dispose();
  await rm(folder, { recursive: true });
});

describe('a host with the backend onnx', () => {
  it('finds the same as the detector here, and refuses what an exported file cannot do', async () => {
    await using host = new DetectorHost(launchers['a child process'], {}, 'onnx');
    const hosted = await host.load(file, { threads: 1 });
    expect(hosted).toMatchObject({ config: here.config, device: 'cpu', precision: 'fp32', weightReport: undefined });
    const result = compare([await here.detect(image)], [await hosted.detect(image)]);
    expect(result).toMatchObject({ unmatched: 0 });
    expect(result.detections).toBeGreaterThan(20);
    expect(result.box).toBeLessThan(1e-3);
    expect((await hosted.annotate(image, [])).length).toBeGreaterThan(100);
    await expect(hosted.summary()).rejects.toThrow('Expected the backend libtorch for summary but found onnx');
    await expect(hosted.save(join(folder, 'checkpoint'))).rejects.toThrow('Expected the backend libtorch for save');
    await expect(host.create(formOptions('pyramid'))).rejects.toThrow('Use load with a file of dinov3-det export');
    await expectError(host.load(join(folder, 'none.onnx')), 'WEIGHTS_NOT_FOUND', 'none.onnx');
    hosted.dispose();
    await expectError(hosted.detect(image), 'DISPOSED');
  });

  it('is one of two', async () => {
    await expect(createDetectorHost({ process: 'child', backend: 'tflite' as never })).rejects.toThrow(
      'Expected one of libtorch, onnx for backend',
    );
  });
});
