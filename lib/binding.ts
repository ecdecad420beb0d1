import { DetectorError, type DetectorErrorCode } from './base/errors.ts';
import type { Size } from './boxes/box.ts';
import { loadAddon } from './libtorch/load.ts';
import type { BoxOptions } from './model/default-box-options.ts';
import type { HeadName } from './model/detection-head.ts';
import type { AssignerName, LossOptions } from './model/loss-options.ts';
import type { PostprocessOptions } from './model/postprocess-options.ts';
import type { TensorInfo, TensorSpan } from './weights/safetensors.ts';

/** The only file that knows the addon: its functions, typed. Checking and naming is done by the callers. */

declare const kind: unique symbol;
/** Opaque: a native model, and its optimizer once training has started. */
export type DetectorHandle = { readonly [kind]: 'Detector' };
/** Opaque: images of one size with their ground truth. */
export type BatchHandle = { readonly [kind]: 'Batch' };

export interface NativeDetectorOptions {
  /** A ConvNeXt's name, or "torchscript". */
  backbone: string;
  /** The archive, vetted or trusted by the user, when backbone is "torchscript". */
  torchscript?: Uint8Array;
  /** Kinds of nodes that the archive's graphs may have; without it the archive is trusted. */
  allowedNodes?: readonly string[];
  /** `pyramid`: the head looks at a feature pyramid made of the backbone's maps; default `last`. */
  features?: 'last' | 'pyramid';
  /** Of the pyramid's maps; default `none`. */
  fusion?: 'none' | 'fpn';
  /** Default `ssd`. Below `retinanet` the pyramid is RetinaNet's, and has to be fused; `dense` has a neck of its own. */
  head?: HeadName;
  /** Channels of a dense head's maps; default: those of the backbone's finest map. */
  headWidth?: number;
  /** Background included. */
  numClasses: number;
  imageSize: Size;
  mean: number[];
  std: number[];
  defaultBoxes: BoxOptions;
  /**
   * What the head's scores mean: `softmax` (default), one class out of all with the background, or `sigmoid`, each class by itself. The
   * heads `retinanet` and `dense` need `sigmoid`.
   */
  scores?: 'softmax' | 'sigmoid';
  /** Of the random initial weights; none for weights that are read afterwards. */
  seed?: number;
  device: string;
  /** `fp32`, `bf16`, or `auto`. */
  precision: string;
}

/** A way of going faster that has a plain path beside it with the same result. */
export interface Lever {
  name: string;
  active: boolean;
  /** Why it is not active; empty otherwise. */
  reason: string;
}

export interface FeatureMap extends Size {
  channels: number;
}

export type StatePart = 'model' | 'optimizer';

/** A decoded image: RGB, rows packed, height * width * 3 bytes; `flip` has it mirrored left to right. */
export interface BatchImage extends Size {
  data: Uint8Array;
  flip: boolean;
}

/** In pixels. */
export interface Rectangle extends Size {
  x: number;
  y: number;
}

/** What is done to an image's colours, in this order; factors as in torchvision's `adjust_*` functions, 1 (hue: 0) for nothing. */
export interface Photometric {
  brightness: number;
  /** Before saturation and hue where `contrastFirst` is true, else after them. */
  contrast: number;
  saturation: number;
  /** Turns of the colour circle, -0.5 to 0.5. */
  hue: number;
  contrastFirst: boolean;
  /** Channel i becomes the old channel `channels[i]`. */
  channels: readonly number[];
}

/** How an image lies in an image of the batch: `window` of it is resized into `area`, and mirrored there if it is to be flipped. */
export interface Placement {
  /** In pixels of the image; it may reach beyond it, and there the fill colour stands. */
  window: Rectangle;
  /** In whole pixels of the batch's image, inside of it. */
  area: Rectangle;
  /** Share in the result, over what earlier layers left there; 1 covers it. */
  weight: number;
  /** Of the image alone, not of the fill colour. */
  photometric?: Photometric;
}

/** An image of the batch that is made of several, or of a part of one, on a ground of the fill colour (red, green, blue; 0 to 255). */
export interface BatchComposition {
  fill: readonly number[];
  layers: (BatchImage & Placement)[];
}

export interface BatchSpec {
  /** The size of every image of the batch. */
  size: Size;
  /** A decoded image fills its place in the batch. */
  images: (BatchImage | BatchComposition)[];
  /** Objects per image; their boxes (xyxy, in pixels of `size`, flipped with the image) and labels follow each other. */
  counts: Int32Array;
  boxes: Float32Array;
  labels: Int32Array;
}

export interface TrainingOptions {
  optimizer: string;
  /** Train the backbone too. */
  fineTune: boolean;
  /**
   * Default: hard negatives and smooth L1. The class loss has to be one for the detector's `scores`: `focal` for `sigmoid`, `quality` for
   * a dense head.
   */
  loss?: LossOptions;
  /** Default: SSD's matcher; a dense head needs `soft`. */
  assigner?: AssignerName;
  /** Below 1; default 0.9. */
  momentum?: number;
  /** Of the loss `quality`, 0 to 1: how far every object counts the same; default 1. */
  objectBalance?: number;
  clipGradNorm?: number;
  /** Those that are stepped otherwise than the rest; without it the optimizer's own weight decay holds for all. */
  parameters?: readonly ParameterOptions[];
  /** Images that go through the model together: a larger batch goes in parts, with the gradients of the whole. */
  microBatchSize?: number;
  /** Keep a moving average of the weights, which the model holds between steps. */
  emaDecay?: number;
  /** Rate at which a ConvNeXt's last block is dropped for a sample. */
  dropPath?: number;
  /** Steps between two looks at what steps measured, which wait for the device; default 1 on the CPU, 10 on a GPU. */
  lookEvery?: number;
}

export interface ParameterOptions {
  name: string;
  /** Of the step's learning rate. */
  learningRateFactor: number;
  weightDecay: number;
}

export interface StepResult {
  loss: number;
  boxLoss: number;
  classLoss: number;
  /** L2 norm of all gradients together, before clipping. */
  gradientNorm: number;
  /** Default boxes of the batch matched to an object. */
  positives: number;
}

export interface DetectorScriptOptions extends PostprocessOptions {
  classes: readonly string[];
}

/** Image after image: counts[i] rows of boxes (xyxy, pixels of the original image), scores and labels for image i. */
export interface FlatDetections {
  counts: Int32Array;
  boxes: Float32Array;
  scores: Float32Array;
  labels: Int32Array;
}

/** Everything that returns a promise runs on the one native lane, in order; `createBatch` alone runs beside it. */
export interface NativeAddon {
  /** The LibTorch that the addon was built against. */
  readonly libtorchVersion: string;
  cudaDeviceCount(): number;
  levers(): Lever[];
  /** Gives memory that is kept for later tensors back to the system. */
  releaseMemory(): Promise<void>;
  /** How many threads the lane computes with from now on, for every detector of the process. */
  setThreads(threads: number): Promise<void>;
  /** How many threads the lane computes with: on the CPU the order of sums, and so their last bits, depend on it. */
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
   * Gives an image's memory back now, instead of when its array is collected; the array is empty afterwards. No work may be
   * under way on it. An array that shares its buffer with others is left alone.
   */
  freePixels(pixels: Uint8Array): void;
  /** A copy of its pixels, image after image: RGB, rows packed. */
  readBatch(batch: BatchHandle): Uint8Array;
  disposeBatch(batch: BatchHandle): void;
  startTraining(detector: DetectorHandle, options: TrainingOptions): Promise<void>;
  /** The results of all steps since the last look, in order: none, or on the CPU this step's. */
  trainStep(detector: DetectorHandle, batch: BatchHandle, learningRate: number, seed?: number): Promise<StepResult[]>;
  /** The results that `trainStep` has not given yet; to be called before weights or optimizer are read. */
  finishSteps(detector: DetectorHandle): Promise<StepResult[]>;
  /** Why a GPU is not given steps as graphs although it was to be; empty otherwise, as on the CPU. */
  graphRefusal(detector: DetectorHandle): Promise<string>;
  /**
   * A detector with the weights and the optimizer's state that this one has now, which is trained on. To detect and to write its
   * state; all but what is trained is the same memory.
   */
  takeSnapshot(detector: DetectorHandle): Promise<DetectorHandle>;
  detect(detector: DetectorHandle, batch: BatchHandle, options: PostprocessOptions): Promise<FlatDetections>;
}

/**
 * Makes a batch of images that nobody needs afterwards: their memory is free at once, for the next ones. Left to the collector it
 * would be dozens of images, and each in memory that the system has just cleared, which takes as long as the decoding.
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
