import { DetectorError, type DetectorErrorCode } from './errors.ts';
import { loadAddon } from './libtorch/load.ts';
import type { TensorInfo, TensorSpan } from './weights/safetensors.ts';

/** The only file that knows the addon: its functions, typed. Checking and naming is done by the callers. */

declare const kind: unique symbol;
/** Opaque: a native model, and its optimizer once training has started. */
export type DetectorHandle = { readonly [kind]: 'Detector' };
/** Opaque: pictures of one size with their ground truth. */
export type BatchHandle = { readonly [kind]: 'Batch' };

export interface Size {
  width: number;
  height: number;
}

/** torchvision's DefaultBoxGenerator, resolved: one list of ratios per head entry, one more scale than lists. */
export interface DefaultBoxOptions {
  aspectRatios: number[][];
  /** Relative to the image's side. */
  scales: number[];
  /** Pixels per cell, for each map; empty: image size / map size. */
  steps: number[];
  /** Clamp width and height to the image. */
  clip: boolean;
}

export interface NativeDetectorOptions {
  /** A ConvNeXt's name, or "torchscript". */
  backbone: string;
  /** The archive, vetted or trusted by the user, when backbone is "torchscript". */
  torchscript?: Uint8Array;
  /** Kinds of nodes that the archive's graphs may have; without it the archive is trusted. */
  allowedNodes?: readonly string[];
  /** Background included. */
  numClasses: number;
  imageSize: Size;
  mean: number[];
  std: number[];
  defaultBoxes: DefaultBoxOptions;
  /** Of the random initial weights; none for weights that are read afterwards. */
  seed?: number;
  device: string;
  /** `fp32`, `bf16`, or `auto`. */
  precision: string;
  /** Of the lane from now on. */
  threads?: number;
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

export interface BatchSpec {
  /** The size that every picture is resized to. */
  size: Size;
  /** RGB, rows packed: height * width * 3 bytes. */
  images: { data: Uint8Array; width: number; height: number; flip: boolean }[];
  /** Objects per image; their boxes (xyxy, in pixels of `size`, flipped with the picture) and labels follow each other. */
  counts: Int32Array;
  boxes: Float32Array;
  labels: Int32Array;
}

export interface TrainingOptions {
  optimizer: string;
  /** Train the backbone too. */
  fineTune: boolean;
  clipGradNorm?: number;
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

export interface PostprocessOptions {
  scoreThreshold: number;
  nmsThreshold: number;
  topkCandidates: number;
  maxDetections: number;
}

export interface DetectorScriptOptions extends PostprocessOptions {
  classes: readonly string[];
}

/** Image after image: counts[i] rows of boxes (xyxy, pixels of the original picture), scores and labels for image i. */
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
  disposeBatch(batch: BatchHandle): void;
  startTraining(detector: DetectorHandle, options: TrainingOptions): Promise<void>;
  trainStep(detector: DetectorHandle, batch: BatchHandle, learningRate: number): Promise<StepResult>;
  detect(detector: DetectorHandle, batch: BatchHandle, options: PostprocessOptions): Promise<FlatDetections>;
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
