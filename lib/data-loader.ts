import { decideFlip, flipBox, scaleBox } from './augment.ts';
import type { BatchHandle, NativeAddon, Size } from './binding.ts';
import { DetectorError, messageOf } from './errors.ts';
import { decodeImage, type RgbImage } from './image.ts';
import { permutation } from './random.ts';
import type { Sample, VocDataset } from './voc-dataset.ts';

export interface DataLoaderOptions {
  /** What every picture is resized to. */
  size: Size;
  batchSize: number;
  /** Pictures that are decoded at the same time. */
  workers: number;
  /** How an epoch differs from the next; without it, samples come in their own order and unchanged. */
  shuffle?: { seed: number; flipProbability: number };
}

export interface LoadedBatch {
  handle: BatchHandle;
  samples: Sample[];
}

export interface LoadHooks {
  /** A picture that cannot be read is left out of its batch, and told of here. */
  onWarning?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Batches that are decoded and assembled while earlier ones are in use. */
const PREFETCH = 2;

interface LoadedSample {
  sample: Sample;
  image: RgbImage;
  flip: boolean;
}

/** Feeds a data set to a model: order and flips of an epoch depend on the seed and the epoch alone. */
export class DataLoader {
  readonly #addon: NativeAddon;
  readonly #dataset: VocDataset;
  readonly #options: DataLoaderOptions;

  constructor(addon: NativeAddon, dataset: VocDataset, options: DataLoaderOptions) {
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
   * batch none of whose pictures could be read is left out.
   */
  async *epoch(epoch: number, first = 0, hooks: LoadHooks = {}): AsyncGenerator<LoadedBatch & { index: number }> {
    const { length } = this.#dataset;
    const { shuffle, batchSize } = this.#options;
    const order = shuffle ? permutation(length, shuffle.seed, epoch) : Uint32Array.from({ length }, (_, i) => i);
    const decode = limitConcurrency(this.#options.workers);
    const start = (index: number) => {
      const samples = Array.from(order.subarray(index * batchSize, (index + 1) * batchSize));
      const loading = this.#load(samples, epoch, decode, hooks);
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

  async #load(indices: number[], epoch: number, decode: Limit, hooks: LoadHooks): Promise<LoadedBatch | undefined> {
    const all = await Promise.all(indices.map((index) => decode(() => this.#loadSample(index, epoch, hooks))));
    const loaded = all.filter((sample) => sample !== undefined);
    if (loaded.length === 0) return undefined;
    const { size } = this.#options;
    const objects = loaded.flatMap((sample) => place(sample, size));
    const handle = await this.#addon.createBatch({
      size,
      images: loaded.map(({ image, flip }) => ({ ...image, flip })),
      counts: Int32Array.from(loaded, ({ sample }) => sample.objects.length),
      boxes: Float32Array.from(objects.flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax])),
      labels: Int32Array.from(objects, ({ labelIndex }) => labelIndex),
    });
    return { handle, samples: loaded.map(({ sample }) => sample) };
  }

  async #loadSample(index: number, epoch: number, { onWarning, signal }: LoadHooks): Promise<LoadedSample | undefined> {
    signal?.throwIfAborted(); // a batch without this picture would be another batch
    const sample = this.#dataset.samples[index]!;
    const { shuffle } = this.#options;
    try {
      const image = await decodeImage(sample.imagePath);
      const flip = shuffle !== undefined && decideFlip(shuffle.seed, epoch, index, shuffle.flipProbability);
      return { sample, image, flip };
    } catch (error) {
      if (!(error instanceof DetectorError)) throw error;
      onWarning?.(`Left out ${sample.imagePath}: ${messageOf(error)}`);
      return undefined;
    }
  }
}

/** A sample's objects in pixels of the batch: scaled as the picture is, and flipped with it. */
function place({ sample, image, flip }: LoadedSample, size: Size) {
  return sample.objects.map(({ box, labelIndex }) => {
    const scaled = scaleBox(box, size.width / image.width, size.height / image.height);
    return { labelIndex, box: flip ? flipBox(scaled, size.width) : scaled };
  });
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
