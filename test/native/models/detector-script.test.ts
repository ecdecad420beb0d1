import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import type { DetectorHandle, NativeDetectorOptions } from '../../../lib/binding.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { pyramidDefaultBoxes, pyramidMaps } from '../../../lib/model/feature-pyramid.ts';
import type { PostprocessOptions } from '../../../lib/model/postprocess-options.ts';
import { vetTorchScript } from '../../../lib/weights/torch/torchscript.ts';
import { fixture } from '../../support/shared.ts';
import { expectError, temporaryFolder } from '../../support/voc.ts';
import { addon, allDetections, batchOf, changed, imageSize, options, readBytes, writeFloats } from '../detectors.ts';
import { type Detections, imageOf, loadTestAddon, pattern, type Tensor, tensor, weight } from '../support.ts';

const core = await loadTestAddon();
const classes = ['__background__', 'a', 'b', 'c'];

/** What an exported detector gives for one image. */
interface Found {
  boxes: Tensor;
  scores: Tensor;
  labels: Tensor<Int32Array>;
}

/** A detector whose weights let every layer count; running statistics stay as they are. */
async function create(more: Partial<NativeDetectorOptions> = {}): Promise<DetectorHandle> {
  const detector = await addon.createDetector({ ...options, ...more });
  const infos = (await addon.describeState(detector, 'model')).filter(({ name }) => !/\.(running_|num_)/.test(name));
  await writeFloats(detector, 'model', new Map(infos.map(({ name, shape }) => [name, weight(name, shape)])));
  return detector;
}

const scripted = async (name: string) => ({
  backbone: 'torchscript',
  torchscript: await readFile(fixture(`native/torchscript/${name}.pt`)),
});

/** The path of a file of the whole detector, which our own vetting takes. */
async function write(detector: DetectorHandle, postprocess: PostprocessOptions = allDetections): Promise<string> {
  const path = join(await temporaryFolder(), 'detector.pt');
  await addon.writeDetectorScript(detector, path, { ...postprocess, classes });
  await expect(vetTorchScript(await readFile(path), path)).resolves.toBeUndefined();
  return path;
}

const retinaNet = presetConfig('article', 'convnext_test', imageSize, { head: 'retinanet' });

const run = (path: string, ...inputs: Tensor[]) => core.runScript(path, 'forward', inputs) as Found[];
const empty = (count: number) => Array.from({ length: count }, () => ({ boxes: [], labels: [] }));
const flat = (parts: readonly ArrayLike<number>[]) => parts.flatMap((part) => Array.from(part));

/** The images of `batchOf` as an exported detector takes them: [N, 3, H, W], 0 to 1. */
function images(count: number): Tensor {
  const { width, height } = imageSize;
  const planes = Array.from({ length: count }, (_, n) => imageOf(`picture${n}`, imageSize)).flatMap((rgb) =>
    [0, 1, 2].map((channel) => Float32Array.from({ length: width * height }, (_, i) => rgb[3 * i + channel]! / 255)),
  );
  return tensor(flat(planes), [count, 3, height, width]);
}

/** The same number of detections for each image, the same labels, and boxes to `pixels`. */
function expectSame(
  found: readonly Found[],
  expected: { [Key in keyof Detections]: ArrayLike<number> },
  pixels: number,
) {
  expect(found.map(({ scores }) => scores.data.length)).toEqual(Array.from(expected.counts));
  expect(flat(found.map(({ labels }) => labels.data))).toEqual(Array.from(expected.labels));
  for (const key of ['boxes', 'scores'] as const) {
    const values = flat(found.map((image) => image[key].data));
    expect(values.length).toBe(expected[key].length);
    const difference = Math.max(0, ...values.map((value, i) => Math.abs(value - expected[key][i]!)));
    expect(difference, key).toBeLessThanOrEqual(key === 'boxes' ? pixels : pixels / 100);
  }
}

function largestDifference(found: Float32Array, expected: Float32Array): number {
  return Math.max(0, ...found.map((value, i) => Math.abs(value - expected[i]!)));
}

async function expectSameDetections(detector: DetectorHandle, postprocess = allDetections) {
  const path = await write(detector, postprocess);
  for (const count of [1, 3]) {
    const expected = await addon.detect(detector, await batchOf(empty(count)), postprocess);
    expect(Math.min(...expected.counts)).toBeGreaterThan(0);
    expectSame(run(path, images(count)), expected, 1e-3);
  }
}

describe('a detector as TorchScript', () => {
  it('gives the same detections, for batches of one and three', async () => expectSameDetections(await create()));

  it('has the settings of postprocessing in it', async () => {
    const detector = await create();
    const settings = { scoreThreshold: 0.3, nmsThreshold: 0.2, topkCandidates: 5, maxDetections: 4 };
    await expectSameDetections(detector, settings);
    const none = await write(detector, { ...settings, scoreThreshold: 1 });
    expect(run(none, images(2)).map(({ boxes, labels }) => [boxes.shape, labels.shape])).toEqual([
      [[0, 4], [0]],
      [[0, 4], [0]],
    ]);
    expect(run(none, tensor([], [0, 3, 64, 64]))).toEqual([]);
  });

  it('normalises with the mean and deviation of the model', async () =>
    expectSameDetections(await create({ mean: [0.1, 0.2, 0.9], std: [0.5, 1, 2] })));

  it('scores each class by itself when its scores are sigmoids', async () => {
    const detector = await create({ scores: 'sigmoid' });
    await expectSameDetections(detector);
    const [sigmoid, softmax] = [await write(detector), await write(await create())].map((path) => run(path, images(1)));
    expect(sigmoid![0]!.scores.data[0]).not.toBeCloseTo(softmax![0]!.scores.data[0]!, 3);
  });

  it('refuses another NMS than plain', async () => {
    const options = { ...allDetections, classes, nms: 'diou' } as const;
    await expect(addon.writeDetectorScript(await create(), 'never.pt', options)).rejects.toThrow('plain NMS alone');
    expect(existsSync('never.pt')).toBe(false);
  });

  it.each(['one_map', 'tuple_of_maps', 'list_of_maps', 'shared', 'batch_norm'])(
    'has a TorchScript backbone in it: %s',
    async (name) => expectSameDetections(await create(await scripted(name))),
  );

  it.each([
    ['a ConvNeXt', 'none', undefined],
    ['a ConvNeXt, fused', 'fpn', undefined],
    ['one TorchScript map', 'fpn', 'one_map'],
    ['several TorchScript maps', 'none', 'tuple_of_maps'],
  ] as const)('has the feature pyramid of %s in it', async (_, fusion, name) => {
    const maps = pyramidMaps(imageSize).slice(name === 'tuple_of_maps' ? 1 : 0);
    const defaultBoxes = pyramidDefaultBoxes(maps);
    const backbone = name === undefined ? {} : await scripted(name);
    await expectSameDetections(await create({ features: 'pyramid', fusion, defaultBoxes, ...backbone }));
  });

  it.each([
    ['a ConvNeXt', undefined],
    ['one TorchScript map', 'one_map'],
    ['several TorchScript maps', 'tuple_of_maps'],
  ])('has the head of RetinaNet over %s in it', async (_, name) => {
    const { head, features, fusion, defaultBoxes, postprocess } = retinaNet;
    const detector = await create({
      ...{ head, features, fusion, defaultBoxes, scores: 'sigmoid' },
      ...(name === undefined ? {} : await scripted(name)),
    } as Partial<NativeDetectorOptions>);
    // What is equally good would be told apart by rounding: few, and of scores that are apart.
    await expectSameDetections(detector, { ...postprocess, topkCandidates: 40 });
  });

  it.each([0, 16])('has a dense head in it, below a neck of width %i', async (headWidth) => {
    const { head, features, defaultBoxes, postprocess } = presetConfig('dense', 'convnext_test', imageSize);
    const width = headWidth > 0 ? { headWidth } : {};
    const detector = await create({ head, features, defaultBoxes, scores: 'sigmoid', ...width } as never);
    await expectSameDetections(detector, { ...postprocess, topkCandidates: 40 });
  });

  it('is of the weights as they are after training, in evaluation', async () => {
    const detector = await create(await scripted('batch_norm'));
    const before = await readBytes(detector, 'model');
    await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
    await addon.trainStep(detector, await batchOf(), 1e-4);
    const path = await write(detector);
    expect(changed(before, await readBytes(detector, 'model'))).toContain('backbone.bn.running_mean');
    expectSame(run(path, images(3)), await addon.detect(detector, await batchOf(empty(3)), allDetections), 1e-3);
  });

  it('refuses a TorchScript backbone that does not say what it returns', async () => {
    const detector = await create(await scripted('optional_map'));
    const writing = addon.writeDetectorScript(detector, 'never.pt', { ...allDetections, classes });
    await expectError(writing, 'WEIGHTS_MISMATCH', 'Optional[Tensor]', 'a Tuple of Tensors', 'safetensors');
    expect(existsSync('never.pt')).toBe(false);
  });

  it('says what images it takes', async () => {
    const path = await write(await create());
    const refusal = 'Expected images [N, 3, 64, 64] but found ';
    for (const shape of [
      [3, 64, 64],
      [1, 1, 64, 64],
      [1, 3, 64, 32],
      [1, 3, 64, 64, 1],
    ]) {
      // biome-ignore format: a table
      const size = shape.reduce((a, b) => a * b);
      expect(() => run(path, tensor(new Float32Array(size), shape))).toThrow(`${refusal}[${shape.join(', ')}]`);
    }
    const bytes = { data: new Uint8Array(3 * 64 * 64), shape: [1, 3, 64, 64] };
    expect(() => run(path, bytes as never)).toThrow('Expected images of floating point, 0 to 1');
  });

  it('is no backbone', async () => {
    const torchscript = await readFile(await write(await create()));
    const creating = addon.createDetector({ ...options, backbone: 'torchscript', torchscript });
    await expectError(creating, 'WEIGHTS_MISMATCH', 'a whole detector', '--part backbone');
  });

  it.skipIf(!existsSync('/dev/full'))('reports a full disk (/dev/full)', async () => {
    const detector = await create();
    const writing = addon.writeDetectorScript(detector, '/dev/full', { ...allDetections, classes });
    await expectError(writing, 'OUTPUT_NOT_WRITABLE', '/dev/full', 'is the disk full?');
    const nowhere = join(await temporaryFolder(), 'none', 'detector.pt');
    await expectError(addon.writeBackboneScript(detector, nowhere), 'OUTPUT_NOT_WRITABLE', nowhere);
  });
});

describe('its postprocessing', async () => {
  const input = { width: 192, height: 160 }; // 6 x 5 cells of 4 default boxes
  const detector = await addon.createDetector({ ...options, imageSize: input });
  const boxes = await addon.defaultBoxes(detector);
  const defaultBoxes = tensor(boxes, [boxes.length / 4, 4]);
  const anchors = defaultBoxes.shape[0]!;

  it.each(Array.from({ length: 20 }, (_, i) => ({ seed: i + 1, labels: i % 2 === 0 ? 3 : 15 })))(
    'equals the native one bit for bit: random head $seed, $labels classes',
    async ({ seed, labels }) => {
      const settings = {
        scoreThreshold: [0, 0.01, 0.05][seed % 3]!,
        nmsThreshold: [0.45, 0.1, 0.7, 1][seed % 4]!,
        topkCandidates: [400, 30][(seed >> 1) % 2]!,
        maxDetections: [200, 1e6][(seed >> 2) % 2]!,
      };
      const path = await write(detector, settings);
      // In steps, so that many scores are equal; the first image's boxes lie about everywhere, the second's near the defaults.
      const logits = pattern(`logits${seed}`, [2, anchors, labels + 1], 6);
      logits.data = logits.data.map((value) => Math.round(value * 2) / 2);
      const codes = pattern(`codes${seed}`, [2, anchors, 4], 20);
      codes.data = codes.data.map((value, i) => (i < codes.data.length / 2 ? value : value / 50));
      const expected = core.postprocess(logits, codes, defaultBoxes, input, [input, input], settings);
      expect(Math.min(...expected.counts)).toBeGreaterThan(0);
      expectSame(core.runScript(path, 'postprocess', [logits, codes]) as Found[], expected, 0);
    },
  );
});

describe("its postprocessing of RetinaNet's numbers", async () => {
  const input = { width: 128, height: 96 };
  const { head, features, fusion, defaultBoxes } = retinaNet;
  const detector = await addon.createDetector({
    ...{ ...options, head, features, fusion, defaultBoxes, scores: 'sigmoid' },
    imageSize: input,
  } as NativeDetectorOptions);
  const boxes = await addon.defaultBoxes(detector);
  const anchors = boxes.length / 4;
  const grids = addon.featureMaps(detector).map(({ width, height }) => ({ cells: width * height, boxesPerCell: 9 }));

  it.each(Array.from({ length: 8 }, (_, i) => ({ seed: i + 1, labels: i % 2 === 0 ? 3 : 15 })))(
    'equals the native one bit for bit: random head $seed, $labels classes',
    async ({ seed, labels }) => {
      const settings = {
        scoreThreshold: [0, 0.05, 0.3][seed % 3]!,
        nmsThreshold: [0.5, 0.1, 0.7, 1][seed % 4]!,
        topkCandidates: [1000, 30][(seed >> 1) % 2]!,
        maxDetections: [300, 1e6][(seed >> 2) % 2]!,
        topkPer: 'map',
      } as const;
      const path = await write(detector, settings);
      const logits = pattern(`logits${seed}`, [2, anchors, labels + 1], 6);
      logits.data = logits.data.map((value) => Math.round(value * 2) / 2); // many equal scores
      const codes = pattern(`codes${seed}`, [2, anchors, 4], 1);
      const layout = { grids, boxWeights: [1, 1] as const };
      const defaults = tensor(boxes, [anchors, 4]);
      const expected = core.postprocess(
        logits,
        codes,
        defaults,
        input,
        [input, input],
        { ...settings, ...layout },
        true,
      );
      expect(Math.min(...expected.counts)).toBeGreaterThan(0);
      expectSame(core.runScript(path, 'postprocess', [logits, codes]) as Found[], expected, 0);
    },
  );
});

describe('its NMS', () => {
  /** Pairs of boxes far from each other, whose IoU is `iou` but for rounding: what happens to a pair hangs on the last bit. */
  function pairs(count: number, iou: number) {
    const sizes = pattern('sizes', [count, 2], 10, 20).data;
    const boxes = Array.from({ length: count }, (_, i) => {
      const [x, y, width, height] = [
        (i % 40) * 30 + 0.3,
        Math.floor(i / 40) * 30 + 0.7,
        sizes[2 * i]!,
        sizes[2 * i + 1]!,
      ];
      return [x, y, x + width, y + height, x, y, x + width, y + height * iou];
    });
    const scores = Float32Array.from({ length: 2 * count }, (_, i) => 1 - i / (2 * count));
    const labels = Int32Array.from({ length: 2 * count }, (_, i) => 1 + Math.floor((i >> 1) / (count / 4)));
    return { boxes: Float32Array.from(boxes.flat()), scores, labels };
  }

  it.each([
    [100, 0.5],
    [500, 0.3],
    [501, 0.3],
    [800, 0.45],
  ])(
    // biome-ignore format: a table
    'rounds as the native one, by classes apart and by class: %i pairs of IoU %f',
    async (count, nmsThreshold) => {
      const path = await write(await addon.createDetector(options), { ...allDetections, nmsThreshold });
      const { boxes, scores, labels } = pairs(count, nmsThreshold);
      const inputs = [tensor(boxes, [2 * count, 4]), { data: labels, shape: [2 * count] }];
      const kept = core.runScript(path, 'batched_nms', inputs as Tensor[]) as Tensor<Int32Array>;
      const expected = core.batchedNms({ boxes, scores, labels }, nmsThreshold).sort((a, b) => a - b);
      expect([...kept.data.keys()].filter((i) => kept.data[i])).toEqual(expected);
      expect(expected.length).toBeGreaterThan(count * 1.1);
      expect(expected.length).toBeLessThan(count * 1.9);
    },
  );
});

describe('a backbone as TorchScript', () => {
  it.each([
    ['one map', {}],
    ['a pyramid', { features: 'pyramid', defaultBoxes: pyramidDefaultBoxes(pyramidMaps(imageSize)) } as const],
  ])('has the names and the numbers of the one that it was, and trains on: %s', async (_, features) => {
    const detector = await create(features);
    const path = join(await temporaryFolder(), 'backbone.pt');
    await addon.writeBackboneScript(detector, path);
    const torchscript = await readFile(path);
    await expect(vetTorchScript(torchscript, path)).resolves.toBeUndefined();

    const copy = await create({ ...features, backbone: 'torchscript', torchscript });
    expect(addon.featureMaps(copy)).toEqual(addon.featureMaps(detector));
    const [ours, theirs] = [await readBytes(detector, 'model'), await readBytes(copy, 'model')];
    expect([...theirs.keys()].sort()).toEqual([...ours.keys()].sort());
    expect(changed(ours, theirs)).toEqual([]);
    const found = async (of: DetectorHandle) => addon.detect(of, await batchOf(), allDetections);
    const [ofCopy, ofOriginal] = [await found(copy), await found(detector)];
    expect(ofCopy.counts).toEqual(ofOriginal.counts);
    expect(ofCopy.labels).toEqual(ofOriginal.labels);
    expect(largestDifference(ofCopy.boxes, ofOriginal.boxes)).toBeLessThan(1e-3);
    await addon.startTraining(copy, { optimizer: 'sgd', fineTune: true });
    await addon.trainStep(copy, await batchOf(), 1e-4);
    expect(changed(theirs, await readBytes(copy, 'model'))).toContain('backbone.stages.0.0.dwconv.weight');
    await expectSameDetections(copy);
  });
});
