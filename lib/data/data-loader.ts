import { setImmediate } from 'node:timers/promises';
import { DetectorError, messageOf } from '../base/errors.ts';
import { permutation } from '../base/random.ts';
import type { BatchHandle, BatchSpec, NativeAddon, Rectangle } from '../binding.ts';
import { makeBatch } from '../binding.ts';
import type { Size } from '../boxes/box.ts';
import { flipBox, scaleBox } from '../boxes/box.ts';
import type { GroundTruth } from '../boxes/detection.ts';
import { GREY, placementOf, type ResizeName } from '../boxes/letterbox.ts';
import { isTransient, readFailure, retryTransient } from '../files/read-failure.ts';
import { decodeImage, type RgbImage } from '../images/image.ts';
import { MAX_IMAGE_PIXELS } from '../images/limits.ts';
import type { DetectorConfig } from '../model/config.ts';
import { decideFlip } from './augment/flip.ts';
import { type Augmentation, augmentedEpochs } from './augment/options.ts';
import type { Dataset, Sample } from './dataset.ts';

export interface DataLoaderOptions {
  /** What every image is brought to, perhaps another size in each batch, and how; default `stretch`. */
  size: Size | ((epoch: number, batch: number) => Size);
  resize?: ResizeName | undefined;
  batchSize: number;
  /** Images that are decoded at the same time. */
  workers: number;
  /** How an epoch differs from the next; without it, samples come in their own order and unchanged. */
  shuffle?: { seed: number; flipProbability: number; augmentation?: LoaderAugmentation | undefined };
}

export interface LoaderAugmentation {
  transforms: Augmentation;
  /** Of the run: its last ones are not augmented. */
  epochs: number;
  /** The colour beside an image, red, green and blue from 0 to 255: `fillColour`. */
  fill: readonly number[];
}

export interface LoadedBatch {
  handle: BatchHandle;
  samples: Sample[];
  /** Of each image, in pixels of the batch. */
  objects: GroundTruth[][];
}

export interface LoadHooks {
  /** An image that cannot be read is left out of its batch, and told of here. */
  onWarning?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Batches that are decoded and assembled while earlier ones are in use. */
const PREFETCH = 2;

/** Which batch it is, as far as its images depend on it. */
interface BatchPlace {
  epoch: number;
  size: Size;
}

interface LoadedSample {
  sample: Sample;
  image: BatchSpec['images'][number];
  objects: GroundTruth[];
}

/** Feeds a data set to a model: order and flips of an epoch depend on the seed and the epoch alone. */
export class DataLoader {
  readonly #addon: NativeAddon;
  readonly #dataset: Dataset;
  readonly #options: DataLoaderOptions;

  constructor(addon: NativeAddon, dataset: Dataset, options: DataLoaderOptions) {
    this.#addon = addon;
    this.#dataset = dataset;
    this.#options = options;
  }

  /** Batches of an epoch; the last may be smaller. */
  get length(): number {
    return Math.ceil(this.#dataset.length / this.#options.batchSize);
  }

  /**
   * The batches of an epoch from `first` on. A batch belongs to the loader, which disposes of it when the next one is asked for. A
   * batch none of whose images could be read is left out.
   */
  async *epoch(epoch: number, first = 0, hooks: LoadHooks = {}): AsyncGenerator<LoadedBatch & { index: number }> {
    const { length } = this.#dataset;
    const { shuffle, batchSize } = this.#options;
    const order = shuffle ? permutation(length, shuffle.seed, epoch) : Uint32Array.from({ length }, (_, i) => i);
    const decode = limitConcurrency(this.#options.workers);
    const start = (index: number) => {
      const samples = Array.from(order.subarray(index * batchSize, (index + 1) * batchSize));
      const { size } = this.#options;
      const place = { epoch, size: typeof size === 'function' ? size(epoch, index) : size };
      const loading = this.#load(samples, place, decode, hooks);
      loading.catch(() => {}); // looked at when its turn comes
      return loading;
    };

    const ahead: Promise<LoadedBatch | undefined>[] = [];
    let next = first;
    try {
      for (let index = first; index < this.length; index++) {
        hooks.signal?.throwIfAborted();
        while (next < this.length && ahead.length <= PREFETCH) ahead.push(start(next++));
        const batch = await ahead.shift()!;
        if (!batch) continue;
        try {
          yield { ...batch, index };
        } finally {
          this.#addon.disposeBatch(batch.handle);
        }
      }
    } finally {
      for (const rest of await Promise.allSettled(ahead)) {
        if (rest.status === 'fulfilled' && rest.value) this.#addon.disposeBatch(rest.value.handle);
      }
    }
  }

  async #load(indices: number[], place: BatchPlace, decode: Limit, hooks: LoadHooks): Promise<LoadedBatch | undefined> {
    const all = await Promise.all(indices.map((index) => this.#loadSample(index, place, decode, hooks)));
    const loaded = all.filter((sample) => sample !== undefined);
    if (loaded.length === 0) return undefined;
    const objects = loaded.flatMap((sample) => sample.objects);
    const handle = await makeBatch(this.#addon, {
      size: place.size,
      images: loaded.map(({ image }) => image),
      counts: Int32Array.from(loaded, ({ objects }) => objects.length),
      boxes: Float32Array.from(objects.flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax])),
      labels: Int32Array.from(objects, ({ labelIndex }) => labelIndex),
    });
    return { handle, samples: loaded.map(({ sample }) => sample), objects: loaded.map(({ objects }) => objects) };
  }

  async #loadSample(
    index: number,
    place: BatchPlace,
    decode: Limit,
    hooks: LoadHooks,
  ): Promise<LoadedSample | undefined> {
    const { epoch, size } = place;
    const { shuffle, resize } = this.#options;
    const augmentation = shuffle?.augmentation;
    if (augmentation && epoch < augmentedEpochs(augmentation.transforms, augmentation.epochs)) {
      return this.#composeSample(index, place, augmentation, decode, hooks);
    }
    const image = await decode(() => this.#decode(index, size, hooks));
    if (!image) return undefined;
    const flip = shuffle !== undefined && decideFlip(shuffle.seed, epoch, index, shuffle.flipProbability);
    const sample = this.#dataset.samples[index]!;
    const original = { width: sample.width, height: sample.height }; // it may have been decoded at a smaller size
    const placement = placementOf(original, size, resize);
    const objects = placeObjects(sample, placement.area ?? size, flip);
    return { sample, image: { ...image, flip, original, ...placement }, objects };
  }

  /** As it is planned. A second image of it that cannot be read is left out, with its objects. */
  async #composeSample(
    index: number,
    { epoch, size }: BatchPlace,
    { transforms, fill }: LoaderAugmentation,
    decode: Limit,
    hooks: LoadHooks,
  ): Promise<LoadedSample | undefined> {
    const { samples } = this.#dataset;
    const { seed, flipProbability } = this.#options.shuffle!;
    const { resize } = this.#options;
    const options = { augmentation: transforms, flipProbability, size, resize };
    const { planSample } = await import('./augment/plan.ts');
    await setImmediate(); // a crop among thousands of objects takes its time
    const plan = planSample(samples, { seed, epoch, sample: index }, options);
    const images = await Promise.all(plan.map(({ sample }) => decode(() => this.#decode(sample, size, hooks))));
    if (!images[0]) return undefined;
    const layers = plan.flatMap((layer, i) => {
      const image = images[i];
      return image ? [{ ...layer, window: scaleWindow(layer.window, samples[layer.sample]!, image), ...image }] : [];
    });
    return { sample: samples[index]!, image: { fill, layers }, objects: layers.flatMap(({ objects }) => objects) };
  }

  async #decode(index: number, size: Size, { onWarning, signal }: LoadHooks): Promise<RgbImage | undefined> {
    signal?.throwIfAborted(); // a batch without this image would be another batch
    const { imagePath, stored, width, height } = this.#dataset.samples[index]!;
    // Twice as many pixels as the model sees leave something to crop.
    const atLeast = { width: 2 * size.width, height: 2 * size.height };
    const maxPixels = Math.max(MAX_IMAGE_PIXELS, width * height); // what was accepted at the opening is accepted now
    try {
      const decode = () => decodeImage(imagePath, { autoOrient: !stored, maxPixels, atLeast });
      return await retryTransient(decode, signal);
    } catch (error) {
      if (!(error instanceof DetectorError)) throw error;
      if (isTransient(error)) throw readFailure(imagePath, error); // without it the run would be another
      onWarning?.(`Left out ${imagePath}: ${messageOf(error)}`);
      return undefined;
    }
  }
}

/** The colour beside an image that is augmented: the grey of a letterbox, or a model's mean. */
export function fillColour({ mean, resize }: Pick<DetectorConfig, 'mean' | 'resize'>): readonly number[] {
  if (resize === 'letterbox') return GREY;
  return mean.map((channel) => Math.min(255, Math.max(0, Math.round(255 * channel))));
}

/** A sample's objects in pixels of the batch: scaled as the image is to the area that it fills, and flipped with it. */
function placeObjects({ objects, width, height }: Sample, area: Size, flip: boolean): GroundTruth[] {
  return objects.map((object) => {
    const scaled = scaleBox(object.box, area.width / width, area.height / height);
    return { ...object, box: flip ? flipBox(scaled, area.width) : scaled };
  });
}

/** A window of the sample in pixels of its image, which may have been decoded at a smaller size. */
function scaleWindow({ x, y, width, height }: Rectangle, sample: Size, image: Size): Rectangle {
  const [sx, sy] = [image.width / sample.width, image.height / sample.height];
  return { x: x * sx, y: y * sy, width: width * sx, height: height * sy };
}

type Limit = <T>(action: () => Promise<T>) => Promise<T>;

/** Runs at most `limit` actions at a time, in the order in which they were asked for. */
function limitConcurrency(limit: number): Limit {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (action) => {
    if (running >= limit) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await action();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
