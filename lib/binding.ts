import { DetectorError, type DetectorErrorCode } from './base/errors.ts';
import type { Size } from './boxes/box.ts';
import type { ResizeName } from './boxes/letterbox.ts';
import { loadAddon } from './libtorch/load.ts';
import type { BoxOptions } from './model/default-box-options.ts';
import type { HeadName } from './model/detection-head.ts';
import type { AssignerName, LossOptions } from './model/loss-options.ts';
import type { NmsName, PostprocessOptions } from './model/postprocess-options.ts';
import type { TensorInfo, TensorSpan } from './weights/safetensors.ts';

/** The only file that knows the addon: its functions with types. Callers check and name arguments. */

declare const kind: unique symbol;
/** An opaque native model, with its optimizer once training has started. */
export type DetectorHandle = { readonly [kind]: 'Detector' };
/** An opaque batch: images of one size with their ground truth. */
export type BatchHandle = { readonly [kind]: 'Batch' };

export interface NativeDetectorOptions {
  /** The name of a ConvNeXt, or "torchscript". */
  backbone: string;
  /** The archive for the backbone "torchscript", checked before or trusted by the user. */
  torchscript?: Uint8Array;
  /** The allowed node kinds of the archive's graphs. Without it the archive is trusted. */
  allowedNodes?: readonly string[];
  /**
   * The maps that the head uses. `pyramid`: a feature pyramid made of the backbone's maps.
   * @default 'last'
   */
  features?: 'last' | 'pyramid';
  /**
   * The fusion of the pyramid's maps.
   * @default 'none'
   */
  fusion?: 'none' | 'fpn';
  /**
   * The head. `retinanet` uses RetinaNet's pyramid, which has to be fused; `dense` has its own neck.
   * @default 'ssd'
   */
  head?: HeadName;
  /**
   * The channels of a dense head's maps.
   * @default the channels of the backbone's finest map
   */
  headWidth?: number;
  /** Whether a dense head has a second branch that gives each object one box; default false. */
  endToEnd?: boolean;
  /** How images are resized to `imageSize`, which an exported program tells; default `stretch`. */
  resize?: ResizeName;
  /** The number of classes, background included. */
  numClasses: number;
  imageSize: Size;
  mean: number[];
  std: number[];
  defaultBoxes: BoxOptions;
  /**
   * The meaning of the head's scores. `softmax`: one class or the background. `sigmoid`: each class by itself. The heads `retinanet` and
   * `dense` need `sigmoid`.
   * @default 'softmax'
   */
  scores?: 'softmax' | 'sigmoid';
  /** The seed of the random initial weights. It is undefined if weights are read afterwards. */
  seed?: number;
  device: string;
  /** The precision: `fp32`, `bf16` or `auto`. */
  precision: string;
}

/** A fast path. The plain path beside it gives the same result. */
export interface Lever {
  name: string;
  active: boolean;
  /** The reason why it is not active; empty if it is active. */
  reason: string;
}

export interface FeatureMap extends Size {
  channels: number;
}

export type StatePart = 'model' | 'optimizer';

/** A decoded image: RGB, rows packed, height * width * 3 bytes. `flip` mirrors it left to right. */
export interface BatchImage extends Size {
  data: Uint8Array;
  flip: boolean;
  /** The part of its place in the batch that it fills, from the upper left corner on; `fill` stands beside it. Default: all. */
  area?: Size;
  /** The colour beside it: red, green and blue, 0 to 255. */
  fill?: readonly number[];
  /** The size in whose pixels detections are; default: its own. */
  original?: Size;
}

/** A rectangle in pixels. */
export interface Rectangle extends Size {
  x: number;
  y: number;
}

/** Changes of an image's colours, in this order. Factors are those of torchvision's `adjust_*` functions: 1 (hue: 0) changes nothing. */
export interface Photometric {
  brightness: number;
  /** The contrast factor. It is applied before saturation and hue if `contrastFirst` is true, otherwise after them. */
  contrast: number;
  saturation: number;
  /** The hue shift in turns of the colour circle, -0.5 to 0.5. */
  hue: number;
  contrastFirst: boolean;
  /** The channel order: channel i becomes the old channel `channels[i]`. */
  channels: readonly number[];
}

/** The place of an image in an image of the batch. `window` is resized into `area`, and mirrored there on request. */
export interface Placement {
  /** The window in pixels of the image. Parts beyond the image get the fill colour. */
  window: Rectangle;
  /** The area in whole pixels, inside the batch's image. */
  area: Rectangle;
  /** The weight in the result, over the earlier layers. 1 covers them. */
  weight: number;
  /** The colour changes of the image, not of the fill colour. */
  photometric?: Photometric;
}

/** An image of the batch that combines several images or parts. The ground has the fill colour (red, green, blue; 0 to 255). */
export interface BatchComposition {
  fill: readonly number[];
  layers: (BatchImage & Placement)[];
}

export interface BatchSpec {
  /** The size of every image of the batch. */
  size: Size;
  /** The images. A decoded image fills its place in the batch, or the area that it names. */
  images: (BatchImage | BatchComposition)[];
  /** The number of objects per image. Their boxes (xyxy, in pixels of `size`, flipped with the image) and labels follow each other. */
  counts: Int32Array;
  boxes: Float32Array;
  labels: Int32Array;
}

export interface TrainingOptions {
  optimizer: string;
  /** True to train the backbone too. */
  fineTune: boolean;
  /**
   * The losses. The class loss must fit the detector's `scores`: `focal` for `sigmoid`, `quality` for a dense head.
   * @default hard negatives and smooth L1
   */
  loss?: LossOptions;
  /**
   * The assigner. A dense head needs `soft`.
   * @default SSD's matcher
   */
  assigner?: AssignerName;
  /**
   * The momentum, below 1.
   * @default 0.9
   */
  momentum?: number;
  /**
   * How equally objects count in the loss `quality`, 0 to 1. With 1 every object counts the same.
   * @default 1
   */
  objectBalance?: number;
  /** How much each object counts in the loss of classes, in the order of the classes; default: 1. */
  classWeights?: readonly number[];
  /** Batches are of more sizes than the model's; default false. */
  sizesVary?: boolean;
  clipGradNorm?: number;
  /** The parameters with their own settings. Without it the optimizer's weight decay applies to all. */
  parameters?: readonly ParameterOptions[];
  /** The number of images that go through the model together. A larger batch is split, with the gradients of the whole batch. */
  microBatchSize?: number;
  /** The decay of a moving average of the weights. The model holds the average between steps. */
  emaDecay?: number;
  /** The rate at which a ConvNeXt's last block is dropped for a sample. */
  dropPath?: number;
  /**
   * The steps between two reads of measured values, which wait for the device.
   * @default 1 on the CPU, 10 on a GPU
   */
  lookEvery?: number;
}

export interface ParameterOptions {
  name: string;
  /** The factor on the step's learning rate. */
  learningRateFactor: number;
  weightDecay: number;
}

export interface StepResult {
  loss: number;
  boxLoss: number;
  classLoss: number;
  /** The L2 norm of all gradients together, before clipping. */
  gradientNorm: number;
  /** The number of default boxes of the batch that matched an object. */
  positives: number;
}

export interface NativePostprocessOptions extends Omit<PostprocessOptions, 'nms'> {
  /** `none`: the best boxes of a branch that gives each object one. */
  nms?: NmsName | 'none';
}

export interface DetectorScriptOptions extends NativePostprocessOptions {
  classes: readonly string[];
}

/** The detections image by image. Image i has counts[i] rows of boxes (xyxy, pixels of the original image), scores and labels. */
export interface FlatDetections {
  counts: Int32Array;
  boxes: Float32Array;
  scores: Float32Array;
  labels: Int32Array;
}

/** The functions of the addon. Functions that return a promise run on one native lane, in order. Only `createBatch` runs beside it. */
export interface NativeAddon {
  /** The LibTorch version that the addon was built against. */
  readonly libtorchVersion: string;
  cudaDeviceCount(): number;
  levers(): Lever[];
  /** Returns unused cached memory to the system. */
  releaseMemory(): Promise<void>;
  /** Sets the number of threads of the lane, for every detector of the process. */
  setThreads(threads: number): Promise<void>;
  /** Returns the number of threads of the lane. On the CPU the order of sums, and so their last bits, depend on it. */
  threads(): Promise<number>;
  createDetector(options: NativeDetectorOptions): Promise<DetectorHandle>;
  disposeDetector(detector: DetectorHandle): void;
  featureMaps(detector: DetectorHandle): FeatureMap[];
  precision(detector: DetectorHandle): string;
  defaultBoxes(detector: DetectorHandle): Promise<Float32Array>;
  describeState(detector: DetectorHandle, part: StatePart): Promise<TensorInfo[]>;
  readState(detector: DetectorHandle, part: StatePart, path: string, spans: TensorSpan[]): Promise<void>;
  writeState(detector: DetectorHandle, part: StatePart, path: string, spans: TensorSpan[]): Promise<void>;
  writeDetectorScript(detector: DetectorHandle, path: string, options: DetectorScriptOptions): Promise<void>;
  writeBackboneScript(detector: DetectorHandle, path: string): Promise<void>;
  createBatch(spec: BatchSpec): Promise<BatchHandle>;
  /**
   * Frees an image's memory now, instead of at garbage collection. The array is empty afterwards. No call may use it at that time. An array
   * that shares its buffer with others stays as it is.
   */
  freePixels(pixels: Uint8Array): void;
  /** Copies the pixels of a batch, image after image: RGB, rows packed. */
  readBatch(batch: BatchHandle): Uint8Array;
  disposeBatch(batch: BatchHandle): void;
  startTraining(detector: DetectorHandle, options: TrainingOptions): Promise<void>;
  /** Runs a step. Resolves with the results of all steps since the last read, in order: none, or on the CPU that of this step. */
  trainStep(detector: DetectorHandle, batch: BatchHandle, learningRate: number, seed?: number): Promise<StepResult[]>;
  /** Resolves with the results that `trainStep` has not returned yet. Call it before you read weights or the optimizer. */
  finishSteps(detector: DetectorHandle): Promise<StepResult[]>;
  /** The reason why a GPU does not run steps as graphs although requested. It is empty otherwise, and on the CPU. */
  graphRefusal(detector: DetectorHandle): Promise<string>;
  /**
   * Takes a snapshot of a detector in training: its weights and optimizer state. It can detect and write its state. Everything that is not
   * trained shares memory.
   */
  takeSnapshot(detector: DetectorHandle): Promise<DetectorHandle>;
  detect(detector: DetectorHandle, batch: BatchHandle, options: NativePostprocessOptions): Promise<FlatDetections>;
}

/**
 * Makes a batch and frees the pixels of its images at once, for the next images. The garbage collector would keep dozens of images. New
 * memory must also be cleared by the system, which takes as long as decoding.
 */
export async function makeBatch(addon: NativeAddon, spec: BatchSpec): Promise<BatchHandle> {
  const batch = await addon.createBatch(spec);
  const images = spec.images.flatMap((image) => ('layers' in image ? image.layers : [image]));
  for (const { data } of images) addon.freePixels(data);
  return batch;
}

let wrapped: NativeAddon | undefined;

/** Loads LibTorch and the addon on first use. Native errors become `DetectorError`s with a JavaScript stack. */
export async function native(): Promise<NativeAddon> {
  const { addon } = await loadAddon();
  wrapped ??= wrapErrors(addon as NativeAddon);
  return wrapped;
}

function wrapErrors(addon: NativeAddon): NativeAddon {
  const entries = Object.entries(addon).map(([name, value]) => {
    if (typeof value !== 'function') return [name, value];
    const call = (...args: unknown[]) => {
      try {
        const result = value(...args);
        return result instanceof Promise ? result.catch((error) => Promise.reject(typed(error))) : result;
      } catch (error) {
        throw typed(error);
      }
    };
    return [name, call];
  });
  return Object.fromEntries(entries) as NativeAddon;
}

function typed(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return error;
  const { code } = error as { code?: DetectorErrorCode };
  return new DetectorError(code ?? 'NATIVE_ERROR', error.message, { cause: error });
}
