import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { version } from '../../../lib/base/version.ts';
import { saveCheckpoint } from '../../../lib/detector/checkpoint.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { type ExportOptions, exportFormats } from '../../../lib/detector/export-options.ts';
import { describeModel, filesOf } from '../../../lib/detector/model-files.ts';
import { openWeights } from '../../../lib/weights/open-weights.ts';
import { readSafetensorsHeader, type TensorSpan } from '../../../lib/weights/safetensors.ts';
import { readTorchFile } from '../../../lib/weights/torch/pth.ts';
import { vetTorchScript } from '../../../lib/weights/torch/torchscript.ts';
import { backboneKeys, depths, extraKeys, headKeys } from '../../support/convnext-keys.ts';
import { fixture } from '../../support/shared.ts';
import { expectError, noise, temporaryFolder } from '../../support/voc.ts';

const small = {
  preset: 'article',
  classes: ['__background__', 'a "quoted" one', 'b'],
  backbone: 'convnext_test',
  imageSize: { width: 64, height: 96 },
  seed: 3,
} satisfies DetectorOptions;
const other = { ...small, seed: 4 };
/** The rest is a directory. */
const fileFormats = exportFormats.filter((format) => format !== 'transformersjs');
const scripted = { ...small, backbone: { torchscript: fixture('torchscript/one_map.pt') } };
const all = { scoreThreshold: 0, maxDetections: 1000 };
const image = { data: await noise(64, 64).raw().toBuffer(), width: 64, height: 64 };
const backbone = backboneKeys('dinov3-det', depths.convnext_test);
const released = [...backboneKeys('dinov3', depths.convnext_test), ...extraKeys.dinov3];

async function exported(options: ExportOptions, from: DetectorOptions = small) {
  const path = join(await temporaryFolder(), 'new', 'weights.bin');
  await using detector = await Detector.create(from);
  const report = await exportDetector(detector, path, options);
  return { path, report };
}

/** The bytes of the tensors by their names in the file. */
async function contents(path: string, tensors: readonly TensorSpan[]): Promise<Map<string, Buffer>> {
  const file = await readFile(path);
  return new Map(
    tensors.map(({ name, offset, byteLength }) => [name, Buffer.from(file.subarray(offset, offset + byteLength))]),
  );
}

async function contentsOfCheckpoint(options: DetectorOptions): Promise<Map<string, Buffer>> {
  const dir = join(await temporaryFolder(), 'model');
  await using detector = await Detector.create(options);
  await detector.save(dir);
  const path = join(dir, 'model.safetensors');
  return contents(path, (await readSafetensorsHeader(path)).tensors);
}

describe('detector.export', () => {
  it.each([
    ['model.safetensors', 'safetensors'],
    ['model.PTH', 'pth'],
    ['model.pt', 'torchscript'],
  ] as const)('takes the format of %s from its name, and writes what exportDetector writes', async (name, format) => {
    const folder = await temporaryFolder();
    await using detector = await Detector.create(small);
    const report = await detector.export(join(folder, name));
    expect(await exportDetector(detector, join(folder, 'other'), { format })).toEqual(report);
    const [named, other] = await Promise.all([name, 'other'].map((file) => readFile(join(folder, file))));
    expect(named!.equals(other!)).toBe(true);
  });

  it('asks for the format where the name says none', async () => {
    await using detector = await Detector.create(small);
    await expect(detector.export('weights.bin')).rejects.toThrow(
      'Expected one of safetensors, pth, torchscript, onnx, transformersjs for format',
    );
    await expect(exportDetector({} as Detector, 'model.pth')).rejects.toThrow('Expected Detector for detector');
  });

  it('at the signal leaves the file that is there as it was', async () => {
    const path = join(await temporaryFolder(), 'model.pth');
    await using detector = await Detector.create(small);
    await detector.export(path);
    const before = await readFile(path);
    const reason = new Error('enough');
    await expect(detector.export(path, { epoch: 7, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const abort = new AbortController();
    const exporting = detector.export(path, { epoch: 7, signal: abort.signal });
    setImmediate(() => abort.abort(reason));
    await expect(exporting).rejects.toBe(reason);
    expect(before.equals(await readFile(path))).toBe(true);
    expect(await readdir(dirname(path))).toEqual(['model.pth']);
  });
});

describe('exportDetector', () => {
  it.each([
    ['safetensors', 'dinov3-det', 0],
    ['pth', "the article's torchvision SSD", extraKeys.article.length],
  ] as const)('%s: the whole model comes back, and detects the same bit for bit', async (format, source, seconds) => {
    const { path, report } = await exported({ format });
    const tensors = backbone.length + headKeys.length;
    expect(report).toEqual({ tensors: tensors + seconds, bytes: (await readFile(path)).length });
    await using original = await Detector.create(small);
    await using loaded = await Detector.create({ ...other, weights: path });
    expect(loaded.weightReport).toEqual({
      source,
      loaded: tensors,
      head: true,
      missing: [],
      unexpected: [],
      wrongShape: [],
    });
    const found = await loaded.detect(image, all);
    expect(found.length).toBeGreaterThan(0);
    expect(found).toEqual(await original.detect(image, all));
    await using another = await Detector.create(other);
    expect(found).not.toEqual(await another.detect(image, all));
  });

  it.each([
    ['safetensors', async (path: string) => (await readSafetensorsHeader(path)).tensors],
    ['pth', async (path: string) => (await readTorchFile(path)).tensors],
  ] as const)('%s: the backbone alone has the released names, and its values', async (format, read) => {
    const { path, report } = await exported({ format, part: 'backbone' });
    const tensors = await read(path);
    expect(tensors.map(({ name }) => name).sort()).toEqual([...released].sort());
    expect(report.tensors).toBe(released.length);

    const [found, state] = [await contents(path, tensors), await contentsOfCheckpoint(small)];
    for (const [index, name] of backboneKeys('dinov3', depths.convnext_test).entries()) {
      expect(found.get(name)!.equals(state.get(backbone[index]!)!), name).toBe(true);
    }
    expect(found.get('norms.3.weight')).toEqual(state.get('backbone.norm.weight'));
    expect(found.get('norms.3.bias')).toEqual(state.get('backbone.norm.bias'));

    await using loaded = await Detector.create({ ...other, weights: path });
    expect(loaded.weightReport).toMatchObject({ source: 'facebookresearch/dinov3', head: false, unexpected: [] });
  });

  it('pth: says the epoch of the checkpoint that the detector is from, unless it is told another', async () => {
    const dir = join(await temporaryFolder(), 'checkpoint');
    await using detector = await Detector.create(small);
    const sums = { loss: 0, boxLoss: 0, classLoss: 0, steps: 0 };
    const training = { epoch: 9, step: 0, sums, bestScore: null, bestEpoch: null, options: {} as never };
    await saveCheckpoint(dir, { ...describeModel(detector), training }, filesOf(detector));
    await using loaded = await Detector.load(dir);
    for (const [options, epoch] of [
      [{}, '\x09'],
      [{ epoch: 2 }, '\x02'],
    ] as const) {
      // biome-ignore format: a table
      await exportDetector(loaded, join(dir, '..', 'model.pth'), { format: 'pth', ...options });
      expect((await readFile(join(dir, '..', 'model.pth'))).includes(`X\x05\0\0\0epochK${epoch}`)).toBe(true);
    }
  });

  it("pth: has the article's names under model_state_dict, and the epoch", async () => {
    const { path } = await exported({ format: 'pth', epoch: 17 });
    const { key, tensors } = await readTorchFile(path);
    expect(key).toBe('model_state_dict');
    const article = [...backboneKeys('article', depths.convnext_test), ...extraKeys.article, ...headKeys];
    expect(tensors.map(({ name }) => name).sort()).toEqual(article.sort());
    const names = new Map(tensors.map((tensor) => [tensor.name, tensor.offset]));
    expect(names.get('backbone.backbone_model.norms.3.bias')).toBe(names.get('backbone.backbone_model.norm.bias'));
    expect((await readFile(path)).includes('X\x05\0\0\0epochK\x11')).toBe(true);
  });

  it('safetensors: says in its metadata what the model is', async () => {
    const { path } = await exported({ format: 'safetensors' });
    expect((await readSafetensorsHeader(path)).metadata).toEqual({
      format: 'pt',
      created_by: `dinov3-det ${version}`,
      classes: '["__background__","a \\"quoted\\" one","b"]',
      image_size: '{"width":64,"height":96}',
      preset: 'article',
      backbone: 'convnext_test',
    });
  });

  it('safetensors: says what scores mean where that is not what the head has anyway', async () => {
    const { path } = await exported({ format: 'safetensors' }, { ...small, loss: { classification: 'focal' } });
    expect((await readSafetensorsHeader(path)).metadata).toMatchObject({ scores: 'sigmoid' });
    const own = await exported({ format: 'safetensors' });
    expect((await readSafetensorsHeader(own.path)).metadata).not.toHaveProperty('scores');
  });

  it('refuses formats whose detections would be others, and says which to take', async () => {
    const focal = { ...small, loss: { classification: 'focal' } } satisfies DetectorOptions;
    await expect(exported({ format: 'pth' }, focal)).rejects.toThrow(
      /found focal.*softmax.*torchscript or safetensors/,
    );
    for (const nms of ['diou', 'weighted'] as const) {
      await expect(exported({ format: 'torchscript' }, { ...small, nms })).rejects.toThrow(
        `Expected a detector with nms plain for torchscript, found ${nms}`,
      );
      await expect(exported({ format: 'torchscript', part: 'backbone' }, { ...small, nms })).resolves.toBeDefined();
    }
    await expect(exported({ format: 'torchscript' }, { ...focal, nms: 'plain' })).resolves.toBeDefined();
    await expect(exported({ format: 'pth', part: 'backbone' }, focal)).resolves.toBeDefined();
  });

  it('writes the same bytes for the same model', async () => {
    for (const format of fileFormats) {
      const [first, second] = [await exported({ format }), await exported({ format })];
      expect((await readFile(first.path)).equals(await readFile(second.path)), format).toBe(true);
    }
  });

  it('of a TorchScript backbone writes its tensors as safetensors, and refuses names that nobody has', async () => {
    const { path } = await exported({ format: 'safetensors' }, scripted);
    const names = (await openWeights(path)).tensors.map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('head.')).sort()).toEqual([...headKeys].sort());
    expect(names.some((name) => name.startsWith('backbone.'))).toBe(true);
    await expect(exported({ format: 'pth' }, scripted)).rejects.toThrow(
      "Expected a ConvNeXt for the model as pth, found a TorchScript backbone, whose tensors have no names in the article's model",
    );
    await expect(exported({ format: 'safetensors', part: 'backbone' }, scripted)).rejects.toThrow(RangeError);
  });

  it('torchscript: a program that our own vetting takes; the whole is no backbone', async () => {
    const { path, report } = await exported({ format: 'torchscript' });
    expect(report).toEqual({ tensors: backbone.length + headKeys.length, bytes: (await readFile(path)).length });
    await expect(vetTorchScript(await readFile(path), path)).resolves.toBeUndefined();
    await expectError(openWeights(path), 'WEIGHTS_INVALID', 'TorchScript');
    const asBackbone = Detector.create({ ...small, backbone: { torchscript: path } });
    await expectError(asBackbone, 'WEIGHTS_MISMATCH', 'a whole detector', '--part backbone');
  });

  it.each([
    ['a ConvNeXt', small],
    ['a TorchScript backbone', scripted],
  ] as const)('torchscript: %s alone is a backbone again, of the same tensors', async (_, options) => {
    const { path, report } = await exported({ format: 'torchscript', part: 'backbone' }, options);
    const [first, second] = [
      await contentsOfCheckpoint(options),
      await contentsOfCheckpoint({ ...other, backbone: { torchscript: path } }),
    ];
    expect([...second.keys()].sort()).toEqual([...first.keys()].sort());
    const names = [...first.keys()].filter((name) => name.startsWith('backbone.'));
    expect(report.tensors).toBe(names.length);
    for (const name of names) expect(second.get(name)!.equals(first.get(name)!), name).toBe(true);
  });

  it('of a detector with a pyramid: safetensors and torchscript, and the backbone for its release', async () => {
    const best = { ...small, preset: 'best' } as const;
    const { path } = await exported({ format: 'safetensors' }, best);
    await using loaded = await Detector.create({ ...best, seed: 4, weights: path });
    expect(loaded.weightReport).toMatchObject({ head: true, missing: [], unexpected: [], wrongShape: [] });
    const script = await exported({ format: 'torchscript' }, best);
    await expect(vetTorchScript(await readFile(script.path), script.path)).resolves.toBeUndefined();
    const { path: pth } = await exported({ format: 'pth', part: 'backbone' }, best);
    expect((await readTorchFile(pth)).tensors.map(({ name }) => name).sort()).toEqual([...released].sort());
    const whole = exported({ format: 'pth' }, best);
    await expect(whole).rejects.toThrow("no names in the article's model. Export it as safetensors or torchscript");
  });

  it('replaces a file, whole', async () => {
    const path = join(await temporaryFolder(), 'weights.pth');
    await writeFile(path, Buffer.alloc(10_000_000, 'x'));
    await using detector = await Detector.create(small);
    const { bytes } = await exportDetector(detector, path, { format: 'pth' });
    expect((await readFile(path)).length).toBe(bytes);
    expect((await openWeights(path)).tensors).toHaveLength(backbone.length + headKeys.length);
  });

  it.each(fileFormats)('%s: where it cannot write, it says so and leaves nothing', async (format) => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'taken'));
    await writeFile(join(folder, 'file'), 'mine');
    await using detector = await Detector.create(small);
    const taken = exportDetector(detector, join(folder, 'taken'), { format });
    await expectError(taken, 'OUTPUT_NOT_WRITABLE', join(folder, 'taken'), 'A directory already has this name');
    const under = join(folder, 'file', 'a.pth');
    await expectError(exportDetector(detector, under, { format }), 'OUTPUT_NOT_WRITABLE', join(folder, 'file'));
    expect((await readdir(folder)).sort()).toEqual(['file', 'taken']);
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('mine');
  });

  it.each([
    [
      { format: 'tflite' },
      'Expected one of safetensors, pth, torchscript, onnx, transformersjs for format but received "tflite" of type string',
    ],
    [{}, 'for format but received undefined'],
    [{ format: 'pth', part: 'head' }, 'Expected one of model, backbone for part'],
    [{ format: 'pth', epoch: 1.5 }, 'Expected integer >= 0 for epoch'],
    [{ format: 'pth', epochs: 1 }, 'did you mean "epoch"?'],
  ])('refuses the options %j', async (options, message) => {
    await expect(exported(options as ExportOptions)).rejects.toThrow(message);
  });

  it('refuses a detector that was given up', async () => {
    const detector = await Detector.create(small);
    detector.dispose();
    await expectError(exportDetector(detector, 'never.pth', { format: 'pth' }), 'DISPOSED');
  });
});
