import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as node from 'onnxruntime-node';
import * as web from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Detection } from '../../../lib/boxes/detection.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import type { ExportReport } from '../../../lib/detector/export.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import type { ExportOptions } from '../../../lib/detector/export-options.ts';
import { OnnxModel } from '../../../lib/onnx/onnx-model.ts';
import { readModel } from '../../../lib/onnx/read-model.ts';
import type { OnnxRuntime } from '../../../lib/onnx/runtime.ts';
import { compare, drawnImage } from '../../../lib/onnx/verify.ts';
import { type Form, formNames, formOptions } from '../../support/onnx-models.ts';
import { randomDetector } from '../../support/random-weights.ts';
import { fixture } from '../../support/shared.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';

const runtimes = { 'onnxruntime-node': node, 'onnxruntime-web': web } as unknown as Record<string, OnnxRuntime>;
/** Of other sizes than the model's, so that they are resized. */
const images = Array.from({ length: 20 }, (_, i) => drawnImage({ width: 60 + 9 * i, height: 150 - 5 * i }, i));

const detectors = new Map<string, Promise<Detector>>();
/** One detector of each form for all tests. */
function detectorOf(form: Form): Promise<Detector> {
  const made = detectors.get(form) ?? randomDetector(formOptions(form));
  detectors.set(form, made);
  return made;
}
afterAll(async () => {
  for (const detector of detectors.values()) (await detector).dispose();
});

interface Exported {
  path: string;
  report: ExportReport;
}

const exports = new Map<Detector, Map<string, Promise<Exported>>>();
/** One file of each kind for all tests; with NMS inside it is compared with the detector. */
function exported(detector: Detector, options: Partial<ExportOptions> = {}): Promise<Exported> {
  const own = exports.get(detector) ?? new Map<string, Promise<Exported>>();
  const key = JSON.stringify(options);
  const made = own.get(key) ?? exportNew(detector, { verify: options.nms !== 'none', ...options });
  exports.set(detector, own.set(key, made));
  return made;
}

let folder: string;
let written = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function exportNew(detector: Detector, options: Partial<ExportOptions>): Promise<Exported> {
  const path = join(folder, `${written++}.onnx`);
  return { path, report: await exportDetector(detector, path, { format: 'onnx', ...options }) };
}

/** What a runtime makes of the file, with the limits that it was exported with. */
async function run(path: string, runtime = runtimes['onnxruntime-node']!): Promise<Detection[][]> {
  const bytes = await readFile(path);
  const { metadata } = await readModel(path, bytes);
  const model = await OnnxModel.open(runtime, bytes, metadata, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  try {
    return await model.detect(images, metadata.config.postprocess);
  } finally {
    await model.release();
  }
}

const expectations = new Map<Detector, Promise<Detection[][]>>();
function expectedOf(detector: Detector): Promise<Detection[][]> {
  const { scoreThreshold, maxDetections } = detector.config.postprocess;
  const known = expectations.get(detector) ?? detector.detect(images, { scoreThreshold, maxDetections });
  expectations.set(detector, known);
  return known;
}

async function expectAgreement(detector: Detector, path: string, runtime?: OnnxRuntime): Promise<void> {
  const result = compare(await expectedOf(detector), await run(path, runtime));
  expect(result.detections).toBeGreaterThan(500);
  expect(result.unmatched).toBe(0);
  expect(result.box).toBeLessThan(1e-3);
  expect(result.score).toBeLessThan(1e-5);
}

describe.each(formNames)('the detector %s as ONNX', (form) => {
  it.each(['inside', 'none'] as const)('nms %s: finds the same on 20 images', async (nms) => {
    const detector = await detectorOf(form);
    const { path } = await exported(detector, { nms });
    await expectAgreement(detector, path);
  });

  it.each(['inside', 'none'] as const)('nms %s: finds the same in onnxruntime-web', async (nms) => {
    const detector = await detectorOf(form);
    const { path } = await exported(detector, { nms });
    await expectAgreement(detector, path, runtimes['onnxruntime-web']);
  });

  it('is compared after it was written', async () => {
    const { report } = await exported(await detectorOf(form));
    expect(report.verification).toMatchObject({ images: 3, unmatched: 0 });
    expect(report.verification!.detections).toBeGreaterThan(100);
    expect(report.verification!.box).toBeLessThan(1e-3);
    expect(report.verification!.score).toBeLessThan(1e-5);
  });

  it('half: is smaller, and finds nearly the same', async () => {
    const detector = await detectorOf(form);
    const [full, half] = [await exported(detector), await exported(detector, { half: true })];
    expect(half.report.bytes).toBeLessThan(0.85 * full.report.bytes);
    const { detections, unmatched, score, box } = half.report.verification!;
    expect(unmatched).toBeLessThan(0.02 * detections);
    expect(score).toBeLessThan(5e-3);
    expect(box).toBeLessThan(1);
    expect(score).toBeGreaterThan(1e-6); // it is another arithmetic
  });
});

describe.each<Form>(['pyramid', 'retinanet', 'dense'])('the detector %s, written otherwise,', (form) => {
  it.each<[string, Partial<ExportOptions>]>([
    ['float input', { input: 'float' }],
    ['opset 17', { opset: 17 }],
    ['opset 17, nms none', { opset: 17, nms: 'none', input: 'float' }],
  ])('%s: finds the same on 20 images', async (_, options) => {
    const detector = await detectorOf(form);
    const { path } = await exported(detector, options);
    await expectAgreement(detector, path);
  });
});

describe('nms none', () => {
  it.each(['diou', 'weighted'] as const)('%s: OnnxModel does what the detector does', async (nms) => {
    await using detector = await randomDetector({ ...formOptions('pyramid'), nms });
    const { path } = await exported(detector, { nms: 'none' });
    await expectAgreement(detector, path);
    await expect(exported(detector)).rejects.toThrow(
      `Expected a detector with nms plain for NMS inside an ONNX file, found ${nms}, for which ONNX has no operator. Export with nms: 'none'`,
    );
  });

  it('takes images together, and gives each the same as alone', async () => {
    const detector = await detectorOf('pyramid');
    const { path } = await exported(detector, { nms: 'none', input: 'float' });
    const session = await node.InferenceSession.create(path);
    const pixels = (n: number) => Float32Array.from({ length: n * 3 * 64 * 96 }, (_, i) => ((i * 7919) % 997) / 997);
    const run = async (n: number) =>
      await session.run({ images: new node.Tensor('float32', pixels(n), [n, 3, 64, 96]) });
    const [one, three] = [await run(1), await run(3)];
    expect(three.scores!.dims).toEqual([3, ...one.scores!.dims.slice(1)]);
    expect(one.scores!.dims.at(-1)).toBe(5);
    const first = (three.boxes!.data as Float32Array).subarray(0, one.boxes!.data.length);
    (one.boxes!.data as Float32Array).forEach((side, i) => {
      expect(Math.abs(side - first[i]!)).toBeLessThan(1e-3);
    });
    await session.release();
  });

  it('finds nothing, and says so, at a threshold that no score passes', async () => {
    await using detector = await randomDetector(formOptions('article'));
    const { path } = await exported(detector, { nms: 'none' });
    const bytes = await readFile(path);
    const { metadata } = await readModel(path, bytes);
    const model = await OnnxModel.open(runtimes['onnxruntime-node']!, bytes, metadata);
    expect(await model.detect(images.slice(0, 2), { scoreThreshold: 1, maxDetections: 10 })).toEqual([[], []]);
    await model.release();
  });
});

it('an image without detections gives empty results inside of the file too', async () => {
  // RetinaNet begins with scores of 0.01, below its threshold of 0.05.
  await using detector = await Detector.create(formOptions('retinanet'));
  const { path } = await exported(detector);
  expect(await run(path)).toEqual(images.map(() => []));
});

it('is compared with what the detector finds in float32, whatever it computes in', async () => {
  await using detector = await randomDetector({ ...formOptions('pyramid'), precision: 'bf16' });
  const { report } = await exported(detector);
  expect(report.verification).toMatchObject({ images: 3, unmatched: 0 });
  expect(report.verification!.score).toBeLessThan(1e-5);
  const found = await detector.detect(images[0]!, { scoreThreshold: 0.01 });
  expect(compare([found], [(await run((await exported(detector)).path))[0]!]).score).toBeGreaterThan(1e-5);
});

it('a backbone of the release: convnext_tiny on a pyramid', async () => {
  const options = { ...formOptions('pyramid'), backbone: 'convnext_tiny' } satisfies DetectorOptions;
  await using detector = await randomDetector(options);
  const { report } = await exported(detector);
  expect(report.verification).toMatchObject({ unmatched: 0 });
  expect(report.verification!.box).toBeLessThan(1e-3);
  expect(report.verification!.score).toBeLessThan(1e-5);
});

describe('the file', () => {
  it('says what it is', async () => {
    const detector = await detectorOf('retinanet');
    const { path, report } = await exported(detector);
    const bytes = await readFile(path);
    expect(report.bytes).toBe(bytes.length);
    const { metadata, externalData } = await readModel(path, bytes);
    expect(externalData).toBeUndefined();
    expect(metadata).toEqual({
      createdBy: expect.stringMatching(/^dinov3-det \d/),
      classes: detector.classes.slice(-5),
      config: detector.config,
      input: 'uint8',
      result: 'inside',
      precision: 'fp32',
      boxesOfMaps: [96, 24, 6, 2, 1].map((cells) => 9 * cells),
    });
    const text = bytes.toString('latin1');
    expect(text).toContain('DINOv3 License');
    expect(text).toContain('Resize an image to 96x64 without keeping its aspect ratio');
  });

  it('is made of operators that WebGPU has, with nms none', async () => {
    // onnxruntime-web 1.30, js/web/docs/webgpu-operators.md; Cast is not for uint8 there, hence input float.
    const known = new Set(
      `Add Cast Clip Concat Conv Div Erf Exp Gather Gelu InstanceNormalization LayerNormalization Log MatMul Mul Relu Reshape
      Resize Sigmoid Slice Softmax Sub Transpose Where`.split(/\s+/),
    );
    for (const form of formNames) {
      for (const opset of [17, 20] as const) {
        const { path } = await exported(await detectorOf(form), { nms: 'none', input: 'float', opset });
        expect([...operatorsOf(await readFile(path))].filter((operator) => !known.has(operator))).toEqual([]);
      }
    }
  });

  it('has no operator that is newer than its opset', async () => {
    const [older, newer] = await Promise.all(
      ([17, 20] as const).map(async (opset) => exported(await detectorOf('pyramid'), { opset })),
    );
    expect(operatorsOf(await readFile(older!.path)).has('Gelu')).toBe(false);
    expect(operatorsOf(await readFile(newer!.path)).has('Gelu')).toBe(true);
    expect(operatorsOf(await readFile(newer!.path)).has('Erf')).toBe(false);
  });
});

describe('weights in a file of their own', () => {
  async function exportedInTwo() {
    const { exportOnnx } = await import('../../../lib/onnx/export-onnx.ts');
    const { checkOnnxOptions } = await import('../../../lib/onnx/export-options.ts');
    const { onnxSourceOf } = await import('../../../lib/detector/export.ts');
    const detector = await detectorOf('pyramid');
    const path = join(await temporaryFolder(), 'detector.onnx');
    const report = await exportOnnx(await onnxSourceOf(detector), path, checkOnnxOptions({}), 100_000);
    return { detector, path, report };
  }

  it('lie beside the model, each at a whole page, and count', async () => {
    const { path, report } = await exportedInTwo();
    expect((await readdir(join(path, '..'))).sort()).toEqual(['detector.onnx', 'detector.onnx.data']);
    const [model, data] = await Promise.all([path, `${path}.data`].map((each) => stat(each)));
    expect(data!.size).toBeGreaterThan(20 * model!.size);
    expect(report.bytes).toBe(model!.size + data!.size);
    expect(report.verification).toMatchObject({ unmatched: 0 });
    expect(report.verification!.score).toBeLessThan(1e-5);
    const { externalData } = await readModel(path, await readFile(path));
    expect(externalData).toBe('detector.onnx.data');
  });
});

describe('is refused', () => {
  it.each<[object, string]>([
    [{ opset: 18 }, 'Expected one of 17, 20 for opset'],
    [{ nms: 'outside' }, 'Expected one of inside, none for nms'],
    [{ input: 'bytes' }, 'Expected one of uint8, float for input'],
    [{ half: 1 }, 'Expected boolean for half'],
    [{ verify: 'no' }, 'Expected boolean for verify'],
    [{ part: 'backbone' }, 'Expected model for part with format onnx'],
    [{ format: 'pth', half: true }, 'Expected no half with format pth'],
    [{ format: 'transformersjs', nms: 'none' }, 'Expected no nms with format transformersjs'],
    [{ opsets: 17 }, 'did you mean "opset"?'],
  ])('%j', async (options, message) => {
    const detector = await detectorOf('article');
    const folder = await temporaryFolder();
    const given = { format: 'onnx', ...options } as ExportOptions;
    await expect(exportDetector(detector, join(folder, 'a.onnx'), given)).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual([]);
  });

  it('a TorchScript backbone, before anything is written', async () => {
    const backbone = { torchscript: fixture('torchscript/one_map.pt') };
    await using detector = await Detector.create({ ...formOptions('article'), backbone });
    const folder = await temporaryFolder();
    for (const format of ['onnx', 'transformersjs'] as const) {
      await expect(exportDetector(detector, join(folder, 'a'), { format })).rejects.toThrow(
        'Expected a ConvNeXt for an export as ONNX, found a TorchScript backbone',
      );
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('a place that cannot be written, and nothing is left there', async () => {
    const detector = await detectorOf('article');
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), 'mine');
    const under = join(folder, 'file', 'a.onnx');
    await expectError(exportDetector(detector, under, { format: 'onnx' }), 'OUTPUT_NOT_WRITABLE', join(folder, 'file'));
    expect(await readdir(folder)).toEqual(['file']);
  });
});

/** By the text of the file: `op_type` is field 4 of a node. */
function operatorsOf(bytes: Buffer): Set<string> {
  return new Set([...bytes.toString('latin1').matchAll(/\x22[\x02-\x1e]([A-Z][A-Za-z]+)/g)].map(([, name]) => name!));
}
