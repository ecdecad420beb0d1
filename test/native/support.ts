import { dirname, join } from 'node:path';
import { expect } from 'vitest';

import type { BatchImage, BatchSpec, NativeDetectorOptions, StepResult, TrainingOptions } from '../../lib/binding.ts';
import type { Size } from '../../lib/boxes/box.ts';
import { addonPath, loadAddonFile } from '../../lib/libtorch/load.ts';
import type { AnchorOptions, DefaultBoxOptions } from '../../lib/model/default-box-options.ts';
import type { AssignerName, LossOptions } from '../../lib/model/loss-options.ts';
import type { PostprocessOptions } from '../../lib/model/postprocess-options.ts';
import type { TensorSpan } from '../../lib/weights/safetensors.ts';
import { numbersOf, type Tensor, tensor, uniform } from '../support/named-values.ts';

export { imageOf, pattern, type Tensor, tensor, uniform, weight } from '../support/named-values.ts';

export type Dtype = 'float32' | 'bfloat16' | 'float64';

export interface NamedTensor {
  name: string;
  tensor: Tensor;
}

export interface Objects {
  counts: ArrayLike<number>;
  boxes: ArrayLike<number>;
  labels: ArrayLike<number>;
}

export interface Detections {
  counts: number[];
  boxes: number[];
  scores: number[];
  labels: number[];
}

export interface NmsCandidates {
  boxes: ArrayLike<number>;
  scores: ArrayLike<number>;
  labels: ArrayLike<number>;
}

/** The default boxes of one map. */
export interface BoxGrid {
  cells: number;
  boxesPerCell: number;
}

/** Of a box code: what its offsets are multiplied with, and what its sizes. Those of SSD unless given. */
export type BoxWeights = readonly [center: number, size: number];

/** How default boxes lie, and how boxes are coded relative to them. */
export interface BoxLayout {
  grids?: readonly BoxGrid[];
  boxWeights?: BoxWeights;
}

/** What test/native/addon exports: the core's operations, synchronous, on plain values. */
export interface TestAddon {
  defaultBoxes(options: DefaultBoxOptions, grids: Size[], image: Size): Tensor;
  anchors(options: AnchorOptions, grids: Size[], image: Size): Tensor;
  boxIou(boxes1: Tensor, boxes2: Tensor): Tensor;
  clipBoxes(boxes: Tensor, image: Size): Tensor;
  encodeBoxes(boxes: Tensor, defaultBoxes: Tensor, weights?: BoxWeights): Tensor;
  decodeBoxes(codes: Tensor, defaultBoxes: Tensor, weights?: BoxWeights): Tensor;
  /** What the last `batchedNms`, `postprocess` or `multiboxLoss` took, without the conversion of its arguments. */
  lastMilliseconds(): number;
  batchedNms(candidates: NmsCandidates, iouThreshold: number): number[];
  diouNms(candidates: NmsCandidates, threshold: number): number[];
  /** The boxes of all, those of `kept` replaced. */
  weightBoxes(candidates: NmsCandidates, kept: number[], iouThreshold: number): number[];
  postprocess(
    logits: Tensor,
    regression: Tensor,
    defaultBoxes: Tensor,
    input: Size,
    /** Of each image; `area` where it does not fill the input. */
    originals: (Size & { area?: Size })[],
    options: Omit<PostprocessOptions, 'nms'> & { nms?: PostprocessOptions['nms'] | 'none' } & BoxLayout,
    sigmoid?: boolean,
    /** The candidates are chosen as on a GPU. */
    compact?: boolean,
  ): Detections;
  ssdMatch(iou: Tensor, counts: Tensor<Int32Array>): Tensor<Int32Array>;
  retinaNetMatch(iou: Tensor, counts: Tensor<Int32Array>): Tensor<Int32Array>;
  atssMatch(
    boxes: Tensor,
    counts: Tensor<Int32Array>,
    defaultBoxes: Tensor,
    grids: readonly BoxGrid[],
  ): Tensor<Int32Array>;
  /** 1 for what is chosen. */
  hardNegatives(loss: Tensor, foreground: Tensor<Int32Array>, ofBackground: boolean): Tensor<Int32Array>;
  sigmoidFocalLoss(logits: Tensor, targets: Tensor): { values: Tensor; gradient: Tensor };
  boxIouLoss(name: 'giou' | 'diou' | 'ciou', boxes: Tensor, targets: Tensor): { values: Tensor; gradient: Tensor };
  multiboxLoss(
    logits: Tensor,
    regression: Tensor,
    targets: Targets,
    defaultBoxes: Tensor,
    /** `classWeights` [K], that of the background first. */
    options?: Partial<LossOptions> & BoxLayout & { assigner?: AssignerName; classWeights?: Tensor },
  ): { boxLoss: number; classLoss: number; positives: number; logitsGradient: Tensor; regressionGradient: Tensor };
  /** `points`: so many for each object; 0: as many as IoUs add up to. Codes are logarithms of distances in cells. */
  assignSoftly(
    logits: Tensor,
    codes: Tensor,
    targets: Targets,
    cells: Tensor,
    points: number,
    /** Pairs of objects and points that are looked at together. */
    mostPairs?: number,
  ): { matches: Tensor<Int32Array>; quality: Tensor };
  denseLoss(
    logits: Tensor,
    codes: Tensor,
    targets: Targets,
    cells: Tensor,
    objectBalance: number,
    classWeights?: Tensor,
    points?: number,
  ): {
    boxLoss: number;
    classLoss: number;
    positives: number;
    terms: number;
    logitsGradient: Tensor;
    regressionGradient: Tensor;
  };
  /** A gradient per step and parameter, null where a parameter has none. */
  optimizerSteps(
    kind: string,
    parameters: NamedTensor[],
    gradients: (Tensor | null)[][],
    learningRates: number[],
    options?: { learningRateFactor: number; weightDecay: number }[],
    momentum?: number,
  ): { parameters: NamedTensor[]; state: NamedTensor[] };
  /** The average of a weight after each of the values that training gives it, and the state at the end. */
  movingAverage(weight: Tensor, values: Tensor[], decay: number): { averages: Tensor[]; state: NamedTensor[] };
  resizeBilinear(picture: Uint8Array, from: Size, to: Size, flip: boolean): Uint8Array;
  makeBatch(
    size: Size,
    images: BatchImage[],
    objects: Objects,
  ): Targets & { pixels: Tensor<Uint8Array>; originals: Size[] };
  convnextParameters(name: string, seed: number, pyramid?: boolean): NamedTensor[];
  convnextForward(name: string, weights: NamedTensor[], images: Tensor, pyramid?: boolean): Tensor[];
  /** Of the pyramid that is made of maps of these shapes, for images of this height. */
  featurePyramidParameters(
    maps: Tensor[],
    imageHeight: number,
    fuse: boolean,
    seed: number,
    retinaNet?: boolean,
  ): NamedTensor[];
  featurePyramid(
    maps: Tensor[],
    imageHeight: number,
    fuse: boolean,
    weights: NamedTensor[],
    retinaNet?: boolean,
  ): Tensor[];
  ssdHead(
    channels: number[],
    anchors: number[],
    classes: number,
    weights: NamedTensor[],
    maps: Tensor[],
  ): { clsLogits: Tensor; bboxRegression: Tensor };
  retinaNetParameters(channels: number, anchors: number, classes: number, seed: number): NamedTensor[];
  retinaNetHead(
    channels: number,
    anchors: number,
    classes: number,
    weights: NamedTensor[],
    maps: Tensor[],
  ): { clsLogits: Tensor; bboxRegression: Tensor };
  denseNeckParameters(maps: Tensor[], width: number, seed: number): NamedTensor[];
  denseNeck(maps: Tensor[], width: number, weights: NamedTensor[]): Tensor[];
  denseHeadParameters(maps: Tensor[], classes: number, seed: number): NamedTensor[];
  denseHead(maps: Tensor[], classes: number, weights: NamedTensor[]): { clsLogits: Tensor; bboxRegression: Tensor };
  /** [output, gradient of each input] for inputs [x, weight, bias], computed in a type. */
  /** (pixel / 255 - mean) / std: mean and std [1, 3, 1, 1], pixels [N, H, W, 3] -> [N, 3, H, W]. */
  pixelValues(dtype: Dtype, mean: Tensor, std: Tensor, pixels: { data: Uint8Array; shape: number[] }): Tensor;
  depthwiseConv(dtype: Dtype, inputs: Tensor[], gradient: Tensor): Tensor[];
  /** The same for inputs [x, y, norm weight, norm bias, expand weight, bias, reduce weight, bias, gamma]. */
  residualMlp(dtype: Dtype, inputs: Tensor[], gradient: Tensor): Tensor[];
  /** For each x the convolution, then that with the weight doubled for good: one cache of weights, no gradients. */
  /** Output, and the gradients of x, weight and bias. */
  convGradients(dtype: Dtype, inputs: Tensor[], gradient: Tensor, stride: number, padding: number): Tensor[];
  convForwards(dtype: Dtype, weight: Tensor, bias: Tensor, xs: Tensor[], stride: number, padding: number): Tensor[];
  residualMlpForward(dtype: Dtype, inputs: Tensor[]): Tensor;
  /** The residual MLP of x alone (inputs without y) as a block that is dropped for some samples. */
  dropPath(dtype: Dtype, inputs: Tensor[], gradient: Tensor, rate: number, seed: number): Tensor[];
  /** What that has to be for the samples of a mask: x + mask / (1 - rate) * (block(x) - x). */
  maskedBlock(dtype: Dtype, inputs: Tensor[], gradient: Tensor, rate: number, mask: Tensor): Tensor[];
  /** For each list of sizes in bytes: [live, cached, peak] with its tensors, [live, cached] without, blocks used again. */
  cachedTensors(sizes: number[][]): [number, number, number, number, number, number][];
  /** How often work is run of which attempt i throws the error that this library has for missing memory; '' for none. */
  attemptsWithEnoughMemory(failures: string[]): number;
  /** What is still cached. */
  releaseCachedMemory(): number;
  /** The tensors after reading. */
  readTensors(path: string, spans: TensorSpan[], tensors: NamedTensor[]): NamedTensor[];
  writeTensors(path: string, spans: TensorSpan[], tensors: NamedTensor[]): void;
  /** Loads a TorchScript file and calls a method of it, whose lists and dictionaries of tensors become arrays and objects. */
  runScript(path: string, method: string, inputs: Tensor[]): unknown;
  /** Whether a GPU may multiply matrices and convolve in TF32: before, while and after a precision holds for a device. */
  float32Products(precision: string, device: string): [matrices: number, convolutions: number][];
  /** Names of the operators that a training step runs, forward, backward and optimizer, without a look at its results. */
  stepOperators(detector: NativeDetectorOptions, training: TrainingOptions, objects: TypedObjects): string[];
  /** Plain steps, or with graphs as a GPU has them, simulated on the CPU. */
  graphSteps(
    detector: NativeDetectorOptions,
    training: TrainingOptions,
    steps: readonly GraphStep[],
    graphs?: SimulatedGraphs,
  ): GraphSteps;
  /** What is said of each way to take other weights for a model's own, '' for nothing; its state before and after these. */
  weightConflicts(detector: NativeDetectorOptions, training: TrainingOptions, objects: TypedObjects): WeightConflicts;
  /** From now on training in this process has such graphs on the CPU, or none. */
  simulateGraphs(graphs?: SimulatedGraphs): void;
}

/** A step on images of its own, and what is done before it. */
export interface GraphStep {
  objects: TypedObjects;
  learningRate: number;
  /** `cut`: its images are of a wrong size. */
  before?: 'detect' | 'load' | 'snapshot' | 'cut';
}

/** What is wrong with them: nothing by default. */
export interface SimulatedGraphs {
  /** An operator whose calls they lose. */
  without?: string;
  /** Where they throw: an operator while it is recorded, too. */
  failure?: 'begin' | 'end' | 'replay' | `aten::${string}`;
  /** They read the images of the step that was recorded. */
  keepsImages?: boolean;
}

export interface GraphSteps {
  /** What each step told, and the look at the end. */
  results: StepResult[][];
  /** Codes, or messages of those that have none. */
  errors: string[];
  /** `logits` before a step that `detect` or `snapshot` comes before. */
  detected: Record<string, Float32Array>[];
  model: Record<string, Float32Array>;
  optimizer: Record<string, Float32Array>;
  recorded: number;
  replayed: number;
  refusal: string;
  /** What the last graph read and had not made itself. */
  read: string[];
}

export interface WeightConflicts extends Record<'before' | 'after', Record<string, Float32Array>> {
  /** While the model holds a snapshot's weights: to exchange them again, to train, to take another snapshot. */
  exchange: string;
  step: string;
  snapshot: string;
  /** To average while the model holds its own weights. */
  average: string;
  /** A step once it holds its own again. */
  nextStep: string;
}

/** As in a `BatchSpec`. */
export type TypedObjects = Pick<BatchSpec, 'counts' | 'boxes' | 'labels'>;

/** Ground truth padded to the image with the most objects: boxes [N, G, 4], labels [N, G], counts [N]. */
export interface Targets {
  boxes: Tensor;
  labels: Tensor<Int32Array>;
  counts: Tensor<Int32Array>;
}

/** Loads LibTorch and the test addon, which `npm test` builds beside the addon. */
export async function loadTestAddon(): Promise<TestAddon> {
  const { addon } = await loadAddonFile(join(dirname(addonPath()), 'test', 'dinov3_det_test.node'));
  return addon as TestAddon;
}

export function indices(values: Iterable<number>, shape: number[]): Tensor<Int32Array> {
  return { data: Int32Array.from(values), shape };
}

/** Rows of numbers, [rows, columns]. */
export function matrix(rows: readonly (readonly number[])[], columns = rows[0]?.length ?? 0): Tensor {
  return tensor(rows.flat(), [rows.length, columns]);
}

/** A tensor's values in rows of its last dimension. */
export function rowsOf({ data, shape }: Tensor): number[][] {
  const columns = shape.at(-1)!;
  return Array.from({ length: data.length / columns }, (_, row) => [
    ...data.subarray(row * columns, (row + 1) * columns),
  ]);
}

export function padTargets(images: readonly { boxes: number[][]; labels: number[] }[]): Targets {
  const most = Math.max(0, ...images.map(({ labels }) => labels.length));
  const rows = (row: number[], padding: number[], width: number) => [
    ...row,
    ...Array.from({ length: most * width - row.length }, (_, i) => padding[i % width]!),
  ];
  return {
    boxes: tensor(
      images.flatMap(({ boxes }) => rows(boxes.flat(), [0, 0, 1, 1], 4)),
      [images.length, most, 4],
    ),
    labels: indices(
      images.flatMap(({ labels }) => rows(labels, [0], 1)),
      [images.length, most],
    ),
    counts: indices(
      images.map(({ labels }) => labels.length),
      [images.length],
    ),
  };
}

/** Every number within `tolerance`, relative above 1 and absolute below. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (!(error <= tolerance)) expect.fail(`[${i}] is ${actual[i]}, expected ${expected[i]} within ${tolerance}`);
  }
}

/** The float32 numbers that `packed` in test/reference/reference.py wrote. */
export function unpack(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}

/** The largest difference between two tensors of one length. */
export function maxDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(actual[i]! - expected[i]!));
  return largest;
}

/** A large tensor as `digest` in test/reference/reference.py tells it. */
export interface Digest {
  largest: number;
  /** Values from all over the tensor, or every one. */
  samples: string;
  products: number[];
}

/**
 * Every number within `tolerance`: the samples each, and all of them by two products with patterns, in which differences of
 * `tolerance` add up to .29 * tolerance * sqrt(n) unless they follow the pattern.
 */
export function expectDigest(name: string, actual: Float32Array, digest: Digest, tolerance: number): void {
  const expected = unpack(digest.samples);
  const places = uniform(`${name}.samples`, expected.length).map((value) => Math.floor((value + 0.5) * actual.length));
  const samples = expected.length === actual.length ? actual : Float32Array.from(places, (place) => actual[place]!);
  expect(maxDifference(samples, expected), name).toBeLessThanOrEqual(tolerance);
  const products = digest.products.map((_, i) => {
    const number = numbersOf(`${name}.product${i}`);
    return actual.reduce((sum, value, place) => sum + value * number(place), 0);
  });
  expect(maxDifference(products, digest.products), name).toBeLessThanOrEqual(tolerance * Math.sqrt(actual.length));
}
