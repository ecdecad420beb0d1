import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { BatchHandle, BatchSpec, NativeAddon } from '../../../lib/binding.ts';
import type { GroundTruth } from '../../../lib/boxes/detection.ts';
import { resolveAugmentation } from '../../../lib/data/augment/options.ts';
import { DataLoader, type DataLoaderOptions } from '../../../lib/data/data-loader.ts';
import type { Dataset } from '../../../lib/data/dataset.ts';
import { openSquares } from '../../support/squares.ts';
import { temporaryFolder } from '../../support/voc.ts';

/** An addon whose handles are what it is given, so that batches can be looked at. */
function recordingAddon() {
  const live = new Set<BatchHandle>();
  const addon = {
    createBatch: async (spec: BatchSpec) => {
      const handle = spec as unknown as BatchHandle;
      live.add(handle);
      return handle;
    },
    freePixels: () => {}, // they are looked at
    disposeBatch: (handle: BatchHandle) => void live.delete(handle),
  } as unknown as NativeAddon;
  return { addon, live };
}

async function prepare(options: Partial<DataLoaderOptions> = {}, count = 10) {
  const folder = await temporaryFolder();
  const dataset = await openSquares(folder, count);
  const recording = recordingAddon();
  const loader = new DataLoader(recording.addon, dataset, {
    size: { width: 192, height: 64 },
    batchSize: 4,
    workers: 2,
    ...options,
  });
  const specs: BatchSpec[] = []; // of the batches as they were handed out
  const placed: GroundTruth[][] = [];
  const ids = async (epoch: number, first = 0) => {
    const all: string[][] = [];
    for await (const { samples, handle, objects } of loader.epoch(epoch, first)) {
      placed.push(...objects);
      all.push(samples.map(({ id }) => id));
      specs.push(handle as unknown as BatchSpec);
    }
    return all;
  };
  return { folder, dataset, loader, ids, specs, placed, ...recording };
}

describe('DataLoader', () => {
  it('without shuffling keeps the order and scales boxes to the batch', async () => {
    const { loader, ids, specs, dataset, live } = await prepare();
    expect(loader.length).toBe(3);
    expect((await ids(0)).flat()).toEqual(dataset.samples.map(({ id }) => id));
    expect(live.size).toBe(0);
    const { xmin, ymin, xmax, ymax } = dataset.samples[0]!.objects[0]!.box;
    expect([...specs[0]!.boxes.subarray(0, 4)]).toEqual([2 * xmin, ymin, 2 * xmax, ymax]);
    expect([...specs[0]!.counts]).toEqual([1, 1, 1, 1]);
    expect([...specs[1]!.counts]).toEqual([0, 1, 1, 1]); // the fifth image has no object
    expect([...specs[0]!.labels]).toEqual([1, 2, 1, 2]);
    expect(specs.flatMap(({ images }) => images)).toEqual(new Array(10).fill(expect.objectContaining({ flip: false })));
  });

  it('shuffles by seed and epoch alone, each sample once', async () => {
    const shuffle = { seed: 5, flipProbability: 0.5 };
    const { ids, dataset } = await prepare({ shuffle });
    const first = await ids(0);
    expect(first.flat().sort()).toEqual(dataset.samples.map(({ id }) => id));
    expect(await ids(0)).toEqual(first);
    expect(await ids(1)).not.toEqual(first);
    const other = await prepare({ shuffle, workers: 7 });
    expect(await other.ids(0)).toEqual(first);
    expect(await ids(0, 1)).toEqual(first.slice(1));
  });

  it('gives the same batches of samples in columns as of an array of them, epoch by epoch', async () => {
    const options = { size: { width: 96, height: 64 }, batchSize: 3, workers: 2 };
    const shuffle = { seed: 11, flipProbability: 0.5 };
    const { dataset, addon } = await prepare({}, 11);
    const { classes, issues, length } = dataset;
    const plain = { classes, issues, length, samples: structuredClone([...dataset.samples]) };
    const batchesOf = async (source: Dataset, epoch: number) => {
      const found: unknown[] = [];
      for await (const { samples, objects, handle } of new DataLoader(addon, source, { ...options, shuffle }).epoch(
        epoch,
      )) {
        const { boxes, labels, counts } = handle as unknown as BatchSpec;
        found.push({ samples, objects, boxes: [...boxes], labels: [...labels], counts: [...counts] });
      }
      return found;
    };
    for (const epoch of [0, 1, 2]) expect(await batchesOf(dataset, epoch)).toEqual(await batchesOf(plain, epoch));
    const order = (await batchesOf(dataset, 0)) as { samples: { id: string }[] }[];
    // Seed 11, epoch 0: an earlier version's order, which resumed runs depend on.
    expect(order.flatMap(({ samples }) => samples.map(({ id }) => Number(id)))).toEqual([
      10, 6, 1, 8, 9, 4, 7, 2, 3, 0, 5,
    ]);
  });

  it('flips boxes with their images', async () => {
    const { ids, specs, dataset } = await prepare({ shuffle: { seed: 1, flipProbability: 1 }, batchSize: 1 }, 2);
    const [[id]] = (await ids(0)) as [[string]];
    const { xmin, xmax } = dataset.samples.find((sample) => sample.id === id)!.objects[0]!.box;
    expect(specs[0]!.images[0]).toMatchObject({ flip: true });
    expect(specs[0]!.boxes[0]).toBe(192 - 2 * xmax);
    expect(specs[0]!.boxes[2]).toBe(192 - 2 * xmin);
  });

  it('leaves out an image that went bad, with a warning, and a batch with nothing left', async () => {
    const { loader, dataset } = await prepare({ batchSize: 2 }, 6);
    for (const i of [1, 2, 3]) await writeFile(dataset.samples[i]!.imagePath, 'gone');
    const warnings: string[] = [];
    const seen: [number, string[]][] = [];
    const onWarning = (message: string) => void warnings.push(message);
    for await (const { index, samples } of loader.epoch(0, 0, { onWarning })) {
      seen.push([index, samples.map(({ id }) => id)]);
    }
    expect(seen).toEqual([
      [0, ['000']],
      [2, ['004', '005']],
    ]);
    expect(warnings).toHaveLength(3);
    expect(warnings.sort()[0]).toContain(dataset.samples[1]!.imagePath);
  });

  it('disposes of everything it prefetched when the consumer stops or fails', async () => {
    const { loader, live } = await prepare({ batchSize: 1 });
    for await (const _ of loader.epoch(0)) break;
    expect(live.size).toBe(0);
    const failing = async () => {
      for await (const _ of loader.epoch(0)) throw new Error('consumer');
    };
    await expect(failing()).rejects.toThrow('consumer');
    expect(live.size).toBe(0);
  });

  it('stops with the reason of the signal, and never with a smaller batch', async () => {
    const { loader, live } = await prepare({ batchSize: 2 });
    const abort = new AbortController();
    const sizes: number[] = [];
    const run = async () => {
      for await (const { samples } of loader.epoch(0, 0, { signal: abort.signal })) {
        sizes.push(samples.length);
        abort.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    expect(sizes).toEqual([2]);
    expect(live.size).toBe(0);
  });

  describe('with augmentation', () => {
    const fill = [124, 116, 104];
    const shuffle = (options: object, epochs = 10) => {
      const transforms = resolveAugmentation('augmentation', options)!;
      return { seed: 5, flipProbability: 0.5, augmentation: { transforms, epochs, fill } };
    };
    const all = { photometricDistort: {}, zoomOut: {}, scaleJitter: {}, iouCrop: {}, mosaic: {}, mixup: {} };
    /** What makes an image of a batch, without its pixels. */
    const layersOf = ({ images }: BatchSpec) =>
      images.map((image) => ('layers' in image ? image.layers.map(({ data: _, ...layer }) => layer) : 'plain'));

    it('hands over compositions with their objects, the same whatever the workers and wherever it begins', async () => {
      const { ids, specs, placed } = await prepare({ shuffle: shuffle(all) });
      const first = await ids(2);
      expect(specs.map(({ images }) => images.length)).toEqual([4, 4, 2]);
      const counts = specs.flatMap((spec) => [...spec.counts]);
      expect(counts).toEqual(placed.map((objects) => objects.length));
      const corners = placed.flat().flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax]);
      expect(specs.flatMap((spec) => [...spec.boxes])).toEqual([...Float32Array.from(corners)]);
      expect(specs.every(({ images }) => images.every((image) => 'layers' in image && image.fill === fill))).toBe(true);

      const other = await prepare({ shuffle: shuffle(all), workers: 7 });
      expect(await other.ids(2, 1)).toEqual(first.slice(1));
      expect(other.specs.map(layersOf)).toEqual(specs.slice(1).map(layersOf));
      expect(other.specs.map(({ boxes }) => boxes)).toEqual(specs.slice(1).map(({ boxes }) => boxes));
    });

    it('goes without it in the last epochs, and then is the loader without', async () => {
      const { ids, specs } = await prepare({ shuffle: shuffle(all) });
      const plain = await prepare({ shuffle: { seed: 5, flipProbability: 0.5 } });
      expect(await ids(9)).toEqual(await plain.ids(9));
      expect(specs).toEqual(plain.specs);
      await ids(8);
      expect(specs.slice(3).flatMap(layersOf)).not.toContain('plain');
    });

    it('without transforms gives the boxes and flips of the plain loader', async () => {
      const { ids, specs } = await prepare({ shuffle: shuffle({}) });
      const plain = await prepare({ shuffle: { seed: 5, flipProbability: 0.5 } });
      expect(await ids(0)).toEqual(await plain.ids(0));
      expect(specs.map(({ boxes, labels, counts }) => ({ boxes, labels, counts }))).toEqual(
        plain.specs.map(({ boxes, labels, counts }) => ({ boxes, labels, counts })),
      );
    });

    it('leaves out a part that cannot be read, with its objects, and a sample that cannot', async () => {
      const { loader, dataset } = await prepare({ shuffle: shuffle({ mosaic: { p: 1 } }), batchSize: 1 }, 6);
      await writeFile(dataset.samples[1]!.imagePath, 'gone');
      const warnings: string[] = [];
      const seen = new Set<string>();
      let partial = 0;
      for await (const { samples, handle, objects } of loader.epoch(0, 0, {
        onWarning: (text) => warnings.push(text),
      })) {
        seen.add(samples[0]!.id);
        const [image] = (handle as unknown as BatchSpec).images;
        const layers = 'layers' in image! ? image.layers : [];
        if (layers.length < 4) partial++;
        expect(layers.map(({ data }) => data.length)).toEqual(layers.map(() => 96 * 64 * 3));
        expect(objects[0]!.length).toBeLessThanOrEqual(layers.length);
      }
      expect(seen).toEqual(new Set(['000', '002', '003', '004', '005']));
      expect(partial).toBeGreaterThan(0);
      expect(new Set(warnings).size).toBe(1);
      expect(warnings[0]).toContain(dataset.samples[1]!.imagePath);
    });
  });
});

describe('a letterbox', () => {
  // 96 x 64 in 192 x 192: twice as large, 64 rows of grey below.
  const letterbox = { size: { width: 192, height: 192 }, resize: 'letterbox' } as const;
  const area = { width: 192, height: 128 };

  it('has each image in its upper left corner, and its boxes with it', async () => {
    const { ids, specs, dataset } = await prepare(letterbox);
    await ids(0);
    const { xmin, ymin, xmax, ymax } = dataset.samples[0]!.objects[0]!.box;
    expect([...specs[0]!.boxes.subarray(0, 4)]).toEqual([2 * xmin, 2 * ymin, 2 * xmax, 2 * ymax]);
    expect(specs[0]!.images[0]).toMatchObject({ area, fill: [114, 114, 114], original: { width: 96, height: 64 } });
  });

  it('is flipped within the image, augmented or not, and looks the same without transforms', async () => {
    const shuffle = { seed: 5, flipProbability: 1 };
    const transforms = resolveAugmentation('augmentation', { offForLast: 0 })!;
    const augmentation = { transforms, epochs: 1, fill: [114, 114, 114] };
    const plain = await prepare({ ...letterbox, shuffle });
    const augmented = await prepare({ ...letterbox, shuffle: { ...shuffle, augmentation } });
    expect(await augmented.ids(0)).toEqual(await plain.ids(0));
    expect(augmented.placed).toEqual(plain.placed);
    for (const spec of augmented.specs) {
      for (const image of spec.images) {
        expect(image).toMatchObject({ layers: [{ flip: true, area: { x: 0, y: 0, ...area } }] });
      }
    }
    const all = plain.placed.flat();
    expect(all.length).toBeGreaterThan(0);
    expect(all.every(({ box }) => box.xmin >= 0 && box.xmax <= 192 && box.ymax <= 128)).toBe(true);
  });
});

it('batches may be of a size each, which depends on the epoch and the batch', async () => {
  const size = (epoch: number, batch: number) => ({ width: 64 + 32 * batch, height: 64 + 32 * epoch });
  const { ids, specs, placed, dataset } = await prepare({ size });
  await ids(1);
  expect(specs.map((spec) => spec.size)).toEqual([0, 1, 2].map((batch) => size(1, batch)));
  const { box } = dataset.samples[0]!.objects[0]!;
  expect(placed[0]![0]!.box.xmax).toBeCloseTo((box.xmax * 64) / 96);
  expect(placed[0]![0]!.box.ymax).toBeCloseTo((box.ymax * 96) / 64);
});

it("an image that is decoded at a smaller size has its detections in the annotation's pixels", async () => {
  const { ids, specs, dataset } = await prepare();
  await ids(0);
  const { width, height } = dataset.samples[0]!;
  expect(specs[0]!.images[0]).toMatchObject({ original: { width, height } });
});
