import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import type { NativeAddon } from '../../../lib/binding.ts';
import { expectError } from '../../support/voc.ts';
import { addon, allDetections, batchOf, changed, options, readBytes } from '../detectors.ts';
import { imageOf } from '../support.ts';

const source = (path: string) => readFile(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1]!);

const detector = await addon.createDetector(options);
const batch = await batchOf();
const size = { width: 8, height: 8 };
const image = { data: imageOf('image', size), ...size, flip: false };
const spec = {
  size,
  images: [image],
  counts: Int32Array.of(1),
  boxes: Float32Array.of(1, 1, 5, 5),
  labels: Int32Array.of(1),
};

const scriptOptions = { ...allDetections, classes: ['a'] };

/** The functions without their types, to be misused; a synchronous throw and a rejection are the same here. */
async function call(name: keyof NativeAddon, ...args: unknown[]): Promise<unknown> {
  return (addon[name] as (...args: unknown[]) => unknown)(...args);
}

/** Copies of an object with one property after another replaced by each of these values, or left out. */
function spoiled(good: object, wrong: Record<string, unknown[]>): [string, object][] {
  return Object.entries(wrong).flatMap(([key, values]) =>
    values.map((value): [string, object] => [`${key}: ${describeValue(value)}`, { ...good, [key]: value }]),
  );
}

function describeValue(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength} bytes)`;
  if (typeof value === 'object' && value !== null) return JSON.stringify(value) ?? 'object';
  return String(value);
}

const notObjects = [undefined, null, 1, 'text', true, Symbol('s'), 1n];
const notNumbers = [undefined, null, '1', true, {}, [], 1n, Symbol('s')];
const notStrings = [undefined, null, 1, true, {}, ['a'], Symbol('s')];
const notIntegers = [0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300, -1];

describe('signatures', () => {
  it('in the comments of addon.cc are those of lib/binding.ts, both ways, and each is exported', async () => {
    const native = await source('native/binding/addon.cc');
    const typescript = await source('lib/binding.ts');
    const body = typescript.slice(typescript.indexOf('export interface NativeAddon {'));
    const declared = matches(body.slice(0, body.indexOf('\n}')), /^ {2}(\w+\(.*\): .+);$/gm);
    expect(matches(native, /^\/\/ (\w+\(.*\): .+)$/gm)).toEqual(declared);
    const names = declared.map((signature) => signature.slice(0, signature.indexOf('(')));
    expect(matches(native, /^ {2}add\("(\w+)", \w+\);$/gm)).toEqual(names);
    expect(Object.keys(addon).sort()).toEqual([...names, 'libtorchVersion'].sort());
  });
});

describe('handles', () => {
  const wrong = [...notObjects, {}, [], () => {}, new Proxy(detector, {}), Object.create(detector), new Map()];
  const detectorCalls: [keyof NativeAddon, unknown[]][] = [
    ['disposeDetector', []],
    ['featureMaps', []],
    ['defaultBoxes', []],
    ['describeState', ['model']],
    ['readState', ['model', 'file', []]],
    ['writeState', ['model', 'file', []]],
    ['writeDetectorScript', ['file', scriptOptions]],
    ['writeBackboneScript', ['file']],
    ['startTraining', [{ optimizer: 'sgd', fineTune: false }]],
    ['trainStep', [batch, 1e-3]],
    ['finishSteps', []],
    ['graphRefusal', []],
    ['detect', [batch, allDetections]],
  ];
  const batchCalls: [keyof NativeAddon, unknown[], unknown[]][] = [
    ['disposeBatch', [], []],
    ['readBatch', [], []],
    ['trainStep', [detector], [1e-3]],
    ['detect', [detector], [allDetections]],
  ];

  it.each(detectorCalls)('%s takes a detector alone', async (name, rest) => {
    for (const value of [...wrong, batch]) {
      await expect(call(name, value, ...rest), describeValue(value)).rejects.toThrow(TypeError);
    }
  });

  it.each(batchCalls)('%s takes a batch alone', async (name, before, after) => {
    for (const value of [...wrong, detector]) {
      await expect(call(name, ...before, value, ...after), describeValue(value)).rejects.toThrow(TypeError);
    }
  });

  it.each(detectorCalls.slice(1))('%s refuses a disposed detector', async (name, rest) => {
    const disposed = await addon.createDetector(options);
    addon.disposeDetector(disposed);
    await expectError(call(name, disposed, ...rest), 'DISPOSED', 'Detector was used after dispose()');
  });

  it.each(batchCalls.slice(1))('%s refuses a disposed batch', async (name, before, after) => {
    const disposed = await batchOf();
    addon.disposeBatch(disposed);
    await expectError(call(name, ...before, disposed, ...after), 'DISPOSED', 'Batch was used after dispose()');
  });

  it('may be disposed twice, and while they are in use', async () => {
    const [used, fed] = [await addon.createDetector(options), await batchOf()];
    const expected = await addon.detect(used, fed, allDetections);
    const running = [addon.detect(used, fed, allDetections), addon.detect(used, fed, allDetections)];
    for (let twice = 0; twice < 2; twice++) {
      addon.disposeDetector(used);
      addon.disposeBatch(fed);
    }
    expect(await Promise.all(running)).toEqual([expected, expected]);
  });

  it('are opaque', () => {
    expect(Object.keys(detector)).toEqual([]);
    expect(JSON.stringify(batch)).toBe('{}');
  });
});

describe('wrong arguments throw TypeError or RangeError', () => {
  it.each(['createDetector', 'createBatch'] as const)('%s without an object', async (name) => {
    for (const value of notObjects) await expect(call(name, value)).rejects.toThrow(TypeError);
  });

  it('setThreads without a whole number from 1', async () => {
    for (const value of notNumbers)
      await expect(call('setThreads', value), describeValue(value)).rejects.toThrow(TypeError);
    for (const value of [...notIntegers, 0, 2 ** 17])
      await expect(call('setThreads', value)).rejects.toThrow(RangeError);
  });

  it('freePixels without a typed array', async () => {
    for (const value of [...notObjects, {}, [], new ArrayBuffer(8), new DataView(new ArrayBuffer(8))]) {
      await expect(call('freePixels', value), describeValue(value)).rejects.toThrow(TypeError);
    }
  });

  const boxes = options.defaultBoxes;
  const anchors = { sizes: [[32]], aspectRatios: [1] };
  it.each([
    ...spoiled(options, {
      backbone: notStrings,
      imageSize: [...notObjects, { width: 64 }, { width: '64', height: 64 }],
      mean: [...notObjects, [1, 2], [1, 2, 3, 4], ['1', '2', '3'], Float32Array.of(1, 2, 3)],
      std: [...notObjects, [], [1, 2, null]],
      numClasses: notNumbers,
      seed: notNumbers.filter((value) => value !== undefined),
      device: notStrings,
      defaultBoxes: notObjects,
      scores: notStrings.slice(1),
      head: notStrings.slice(1),
    }),
    ...spoiled(boxes, {
      aspectRatios: [...notObjects, [2, 3], [['2']], [null]],
      scales: [...notObjects, ['a']],
      steps: [...notObjects, [{}]],
      clip: [undefined, null, 0, 'true'],
    }).map(([name, defaultBoxes]): [string, object] => [`defaultBoxes.${name}`, { ...options, defaultBoxes }]),
    ...spoiled(anchors, {
      sizes: [...notObjects.slice(1), [32], [['32']], [null]],
      aspectRatios: [...notObjects, ['a']],
    }).map(([name, defaultBoxes]): [string, object] => [`anchors.${name}`, { ...options, defaultBoxes }]),
  ])('createDetector, TypeError for %s', async (_, value) => {
    await expect(call('createDetector', value)).rejects.toThrow(TypeError);
  });

  it.each([
    ...spoiled(options, {
      imageSize: [...notIntegers, 0, 2 ** 40].map((width) => ({ width, height: 64 })),
      numClasses: [...notIntegers, 0],
      seed: notIntegers,
      scores: ['', 'softmaxes'],
      head: ['', 'yolo'],
    }),
    ...spoiled(boxes, {
      aspectRatios: [[], [[2]], new Array(7).fill([2])],
      scales: [[], [0.1], boxes.scales.slice(1), [...boxes.scales, 1]],
      steps: [[32], new Array(7).fill(32)],
    }).map(([name, defaultBoxes]): [string, object] => [`defaultBoxes.${name}`, { ...options, defaultBoxes }]),
    ...spoiled(anchors, { sizes: [[]], aspectRatios: [[]] }).map(([name, defaultBoxes]): [string, object] => [
      `anchors.${name}`,
      { ...options, defaultBoxes },
    ]),
  ])('createDetector, RangeError for %s', async (_, value) => {
    await expect(call('createDetector', value)).rejects.toThrow(RangeError);
  });

  it.each(
    spoiled(spec, {
      size: [...notObjects, {}, { width: 8 }],
      images: [...notObjects, {}, new Uint8Array(3), [null], [undefined], [5], [{}]],
      counts: [...notObjects, [1], Float32Array.of(1), Uint32Array.of(1)],
      boxes: [...notObjects, [1, 1, 5, 5], Float64Array.of(1, 1, 5, 5)],
      labels: [...notObjects, [1], BigInt64Array.of(1n)],
    }),
  )('createBatch, TypeError for %s', async (_, value) => {
    await expect(call('createBatch', value)).rejects.toThrow(TypeError);
  });

  it.each(
    spoiled(spec, {
      size: [...notIntegers, 0, 2 ** 40].map((height) => ({ width: 8, height })),
      images: [
        [],
        [image, image],
        ...[image.data.subarray(1), new Uint8Array(0), 'pixels', [1, 2, 3], new ArrayBuffer(192)].map((data) => [
          { ...image, data },
        ]),
        ...[0, -8, 8.5, 9, Number.NaN, 2 ** 61].map((width) => [{ ...image, width }]),
        [{ data: new Uint8Array(0), width: 2 ** 61, height: 8, flip: false }], // the product of the sides overflows to 0
      ],
      counts: [Int32Array.of(), Int32Array.of(0), Int32Array.of(2), Int32Array.of(-1), Int32Array.of(1, 0)],
      boxes: [Float32Array.of(1, 1, 5), new Float32Array(0), new Float32Array(8)],
      labels: [Int32Array.of(), Int32Array.of(1, 2)],
    }),
  )('createBatch, RangeError for %s', async (_, value) => {
    await expect(call('createBatch', value)).rejects.toThrow(RangeError);
  });

  it('createBatch, for counts whose sum is right but one is negative', async () => {
    const images = [image, image];
    const counts = Int32Array.of(2, -1);
    await expect(call('createBatch', { ...spec, images, counts })).rejects.toThrow(RangeError);
  });

  const neutral = { brightness: 1, contrast: 1, saturation: 1, hue: 0, contrastFirst: true, channels: [0, 1, 2] };
  const whole = { x: 0, y: 0, ...size };
  const layer = { ...image, window: whole, area: whole, weight: 1, photometric: neutral };
  const composition = { fill: [0, 0, 0], layers: [layer] };
  const layers = (all: [string, object][]) =>
    all.map(([name, each]): [string, object] => [`layers.${name}`, { ...composition, layers: [each] }]);
  const colours = (all: [string, object][]) =>
    layers(all.map(([name, each]) => [`photometric.${name}`, { ...layer, photometric: each }]));
  const notFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

  it('createBatch takes this composition, and one in parts', async () => {
    for (const good of [composition, { ...composition, layers: [] }, { ...composition, layers: [layer, layer] }]) {
      await expect(call('createBatch', { ...spec, images: [good] })).resolves.toBeDefined();
    }
  });

  it.each([
    ...spoiled(composition, {
      fill: [...notObjects, [1, 2], ['1', 2, 3]],
      layers: [null, 1, 'a', {}, [null], [1], [{}]],
    }),
    ...layers(
      spoiled(layer, {
        window: [...notObjects, {}, { ...whole, width: '8' }],
        area: [...notObjects, {}, { ...whole, x: null }],
        weight: notNumbers,
        photometric: [null, 1, 'bright', {}],
      }),
    ),
    ...colours(
      spoiled(neutral, {
        brightness: notNumbers,
        contrastFirst: [undefined, null, 1],
        channels: [...notObjects, [0, 1], [0, 1, 2, 0], ['0', 1, 2]],
      }),
    ),
  ])('createBatch, TypeError for a composition with %s', async (_, value) => {
    await expect(call('createBatch', { ...spec, images: [value] })).rejects.toThrow(TypeError);
  });

  it.each([
    ...spoiled(composition, {
      fill: [
        [0, 0, 256],
        [0, -1, 0],
        [0.5, 0, 0],
      ],
    }),
    ...layers([
      ...spoiled(layer, { data: [image.data.subarray(1), 'pixels'], weight: [...notFinite, -0.1, 1.1] }),
      ...[0, -1, 1e13, ...notFinite].map((width): [string, object] => [
        `window.width: ${width}`,
        { ...layer, window: { ...whole, width } },
      ]),
      ...[{ x: -1 }, { x: 1 }, { y: 8, height: 0 }, { width: 9 }, { x: 0.5, width: 7 }].map(
        (change): [string, object] => [`area: ${JSON.stringify(change)}`, { ...layer, area: { ...whole, ...change } }],
      ),
    ]),
    ...colours(
      spoiled(neutral, {
        brightness: [...notFinite, -1],
        contrast: [...notFinite, -1],
        saturation: [...notFinite, -1],
        hue: [...notFinite, 0.6],
        channels: [
          [0, 1, 3],
          [0, 1, -1],
        ],
      }),
    ),
  ])('createBatch, RangeError for a composition with %s', async (_, value) => {
    await expect(call('createBatch', { ...spec, images: [value] })).rejects.toThrow(RangeError);
  });

  it.each(
    spoiled(
      { optimizer: 'sgd', fineTune: true },
      {
        optimizer: notStrings,
        fineTune: [undefined, null, 0, 'true'],
        loss: [...notObjects.slice(1), {}, { classification: 'focal', box: 'giou', backgroundNegatives: 0 }],
        assigner: notStrings.slice(1),
        clipGradNorm: [null, '1', true, {}],
        parameters: [
          null,
          {},
          [1],
          [{ name: 1, learningRateFactor: 1, weightDecay: 0 }],
          [{ name: 'a', weightDecay: 0 }],
        ],
        microBatchSize: [null, '1'],
        emaDecay: [null, '1', true],
        lookEvery: [null, '1'],
        dropPath: [null, [], 'a'],
      },
    ),
  )('startTraining, for %s', async (_, value) => {
    await expect(call('startTraining', detector, value)).rejects.toThrow(TypeError);
  });

  it.each(
    spoiled(
      { optimizer: 'sgd', fineTune: true },
      {
        loss: [
          { classification: 'vocal', box: 'giou', backgroundNegatives: false },
          { classification: 'focal', box: '', backgroundNegatives: false },
        ],
        assigner: ['', 'ats'],
        parameters: [
          [{ name: 'a', learningRateFactor: -1, weightDecay: 0 }],
          [{ name: 'a', learningRateFactor: 1, weightDecay: Number.NaN }],
        ],
        microBatchSize: [0, -1, 0.5, Number.NaN],
        emaDecay: [-0.1, 1.1, Number.NaN],
        lookEvery: [0, -1, 1.5, Number.NaN],
        dropPath: [-0.1, 1, Number.NaN],
      },
    ),
  )('startTraining, RangeError for %s', async (_, value) => {
    await expect(call('startTraining', detector, value)).rejects.toThrow(RangeError);
  });

  it('trainStep, for a learning rate that is no number, weights as they were', async () => {
    const own = await addon.createDetector(options);
    await addon.startTraining(own, { optimizer: 'adamw', fineTune: true });
    const before = await readBytes(own, 'model');
    for (const value of notNumbers) await expect(call('trainStep', own, batch, value)).rejects.toThrow(TypeError);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(call('trainStep', own, batch, value)).rejects.toThrow(RangeError);
    }
    await expect(call('trainStep', own, batch, 1e-3, '1')).rejects.toThrow(TypeError);
    for (const seed of [-1, 1e300, Number.NaN]) {
      await expect(call('trainStep', own, batch, 1e-3, seed)).rejects.toThrow(RangeError);
    }
    expect(changed(before, await readBytes(own, 'model'))).toEqual([]);
  });

  it.each([
    ...notObjects.map((value): [string, unknown] => [describeValue(value), value]),
    ...spoiled(allDetections, {
      scoreThreshold: notNumbers,
      nmsThreshold: notNumbers,
      topkCandidates: notNumbers,
      maxDetections: notNumbers,
      nms: notStrings.slice(1),
    }),
  ])('detect, TypeError for %s', async (_, value) => {
    await expect(call('detect', detector, batch, value)).rejects.toThrow(TypeError);
  });

  it.each(
    spoiled(allDetections, {
      topkCandidates: notIntegers,
      maxDetections: notIntegers,
      nms: ['soft', ''],
      topkPer: ['image', ''],
    }),
  )('detect, RangeError for %s', async (_, value) => {
    await expect(call('detect', detector, batch, value)).rejects.toThrow(RangeError);
  });

  const span = { name: 'a', dtype: 'F32', shape: [1], offset: 0, byteLength: 4 };
  it.each(['readState', 'writeState'] as const)('%s, for parts, paths and spans of other types', async (name) => {
    for (const value of notStrings) {
      await expect(call(name, detector, value, 'file', [])).rejects.toThrow(TypeError);
      await expect(call(name, detector, 'model', value, [])).rejects.toThrow(TypeError);
    }
    for (const value of [...notObjects, {}, [1], [null], [{}]]) {
      await expect(call(name, detector, 'model', 'file', value)).rejects.toThrow(TypeError);
    }
    const wrong = { name: notStrings, dtype: notStrings, shape: [...notObjects, ['1']], offset: notNumbers };
    for (const [what, value] of spoiled(span, wrong)) {
      await expect(call(name, detector, 'model', 'file', [value]), what).rejects.toThrow(TypeError);
    }
    for (const [what, value] of spoiled(span, { shape: [[-1], [0.5]], offset: notIntegers, byteLength: notIntegers })) {
      await expect(call(name, detector, 'model', 'file', [value]), what).rejects.toThrow(RangeError);
    }
  });

  it('writeDetectorScript and writeBackboneScript, for paths and options of other types', async () => {
    for (const value of notStrings) {
      await expect(call('writeDetectorScript', detector, value, scriptOptions)).rejects.toThrow(TypeError);
      await expect(call('writeBackboneScript', detector, value)).rejects.toThrow(TypeError);
    }
    const classes = [...notObjects, {}, ['a', 1], [null]];
    const wrong = [
      ...notObjects,
      ...spoiled(scriptOptions, { classes, nmsThreshold: notNumbers }).map(([, value]) => value),
    ];
    for (const value of wrong) {
      await expect(call('writeDetectorScript', detector, 'never.pt', value)).rejects.toThrow(TypeError);
    }
  });

  it('describeState, for a part of another type; another part has no state', async () => {
    for (const value of notStrings) await expect(call('describeState', detector, value)).rejects.toThrow(TypeError);
    await expectError(call('describeState', detector, 'weights'), 'NATIVE_ERROR', '"weights"');
  });

  it("passes on what an argument's own getter throws", async () => {
    const hostile = Object.defineProperty({ ...options }, 'seed', {
      get: () => {
        throw new RangeError('no seed today');
      },
    });
    await expect(call('createDetector', hostile)).rejects.toThrow('no seed today');
  });
});

describe('arguments', () => {
  it('are read from views into larger buffers', async () => {
    const shifted = Buffer.concat([Buffer.from('pad'), image.data]).subarray(3);
    const own = await addon.createDetector({ ...options, imageSize: { width: 64, height: 64 } });
    const detect = async (data: Uint8Array) => {
      const fed = await addon.createBatch({
        ...spec,
        size: options.imageSize,
        images: [{ ...image, data }],
        boxes: Float32Array.of(9, 1, 1, 5, 5).subarray(1),
      });
      return addon.detect(own, fed, allDetections);
    };
    expect(await detect(shifted)).toEqual(await detect(image.data));
    expect(await detect(shifted)).not.toEqual(await detect(image.data.map((value) => 255 - value)));
  });

  it('are not needed any more once a batch is made', async () => {
    const own = await addon.createDetector(options);
    const data = imageOf('image', options.imageSize);
    const images = [{ data, ...options.imageSize, flip: false }];
    const fed = await addon.createBatch({ ...spec, size: options.imageSize, images });
    const before = await addon.detect(own, fed, allDetections);
    data.fill(0);
    expect(await addon.detect(own, fed, allDetections)).toEqual(before);
  });
});
