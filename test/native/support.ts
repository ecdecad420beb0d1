import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';

import type { BatchImage, DefaultBoxOptions, PostprocessOptions, Size } from '../../lib/binding.ts';
import { addonPath, loadAddonFile } from '../../lib/libtorch/load.ts';
import type { TensorSpan } from '../../lib/weights/safetensors.ts';
import { fixture } from '../support/shared.ts';

/** Float32Array is float32, Int32Array int64 (labels, counts, indices), Uint8Array uint8. */
export interface Tensor<Data extends Float32Array | Int32Array | Uint8Array = Float32Array> {
  data: Data;
  shape: number[];
}

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

/** What test/native/test_addon.cc exports: the core's operations, synchronous, on plain values. */
export interface TestAddon {
  defaultBoxes(options: DefaultBoxOptions, grids: Size[], image: Size): Tensor;
  boxIou(boxes1: Tensor, boxes2: Tensor): Tensor;
  clipBoxes(boxes: Tensor, image: Size): Tensor;
  encodeBoxes(boxes: Tensor, defaultBoxes: Tensor): Tensor;
  decodeBoxes(codes: Tensor, defaultBoxes: Tensor): Tensor;
  batchedNms(
    candidates: { boxes: ArrayLike<number>; scores: ArrayLike<number>; labels: ArrayLike<number> },
    iouThreshold: number,
  ): number[];
  postprocess(
    logits: Tensor,
    regression: Tensor,
    defaultBoxes: Tensor,
    input: Size,
    originals: Size[],
    options: PostprocessOptions,
  ): Detections;
  ssdMatch(iou: Tensor, counts: Tensor<Int32Array>): Tensor<Int32Array>;
  multiboxLoss(
    logits: Tensor,
    regression: Tensor,
    targets: Targets,
    defaultBoxes: Tensor,
  ): { boxLoss: number; classLoss: number; positives: number; logitsGradient: Tensor; regressionGradient: Tensor };
  /** A gradient per step and parameter, null where a parameter has none. */
  optimizerSteps(
    kind: string,
    parameters: NamedTensor[],
    gradients: (Tensor | null)[][],
    learningRates: number[],
  ): { parameters: NamedTensor[]; state: NamedTensor[] };
  resizeBilinear(picture: Uint8Array, from: Size, to: Size, flip: boolean): Uint8Array;
  makeBatch(
    size: Size,
    images: BatchImage[],
    objects: Objects,
  ): Targets & { pixels: Tensor<Uint8Array>; originals: Size[] };
  convnextParameters(name: string, seed: number): NamedTensor[];
  convnextForward(name: string, weights: NamedTensor[], images: Tensor): Tensor[];
  ssdHead(
    channels: number[],
    anchors: number[],
    classes: number,
    weights: NamedTensor[],
    maps: Tensor[],
  ): { clsLogits: Tensor; bboxRegression: Tensor };
  /** The tensors after reading. */
  readTensors(path: string, spans: TensorSpan[], tensors: NamedTensor[]): NamedTensor[];
  writeTensors(path: string, spans: TensorSpan[], tensors: NamedTensor[]): void;
  /** Loads a TorchScript file and calls a method of it, whose lists and dictionaries of tensors become arrays and objects. */
  runScript(path: string, method: string, inputs: Tensor[]): unknown;
}

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

/** A golden file of test/fixtures/native, which test/reference makes. */
// biome-ignore lint/suspicious/noExplicitAny: each golden file has a form of its own
export async function golden(name: string): Promise<any> {
  return JSON.parse(await readFile(fixture(`native/${name}`), 'utf8'));
}

export function tensor(values: Iterable<number>, shape: number[]): Tensor {
  return { data: Float32Array.from(values), shape };
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

/** Numbers in [-.5, .5) that follow from `name` alone; `uniform` in test/reference/reference.py makes the same. */
export function uniform(name: string, length: number): Float64Array {
  let seed = 2166136261;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 16777619);
  return Float64Array.from({ length }, (_, i) => {
    let x = (Math.imul(i, 0x9e3779b1) + seed) >>> 0;
    x = Math.imul(x ^ (x >>> 15), 0x85ebca6b) >>> 0;
    return ((x ^ (x >>> 13)) >>> 0) / 2 ** 32 - 0.5;
  });
}

export function pattern(name: string, shape: number[], scale = 1, offset = 0): Tensor {
  return tensor(
    uniform(
      name,
      shape.reduce((a, b) => a * b, 1),
    ).map((value) => offset + scale * value),
    shape,
  );
}

/** RGB, rows packed. */
export function picture(name: string, { width, height }: Size): Uint8Array {
  return Uint8Array.from(uniform(name, width * height * 3), (value) => Math.floor((value + 0.5) * 256));
}

/** A value for the parameter `name` that lets every layer count: `weight` in test/reference/reference.py. */
export function weight(name: string, shape: number[]): Tensor {
  if (name.endsWith('.gamma')) return pattern(name, shape, 0.5, 0.5);
  if (shape.length === 1) return name.endsWith('.weight') ? pattern(name, shape, 0.5, 1) : pattern(name, shape, 0.2);
  return pattern(name, shape, (12 / shape.slice(1).reduce((a, b) => a * b, 1)) ** 0.5);
}

/** Every number within `tolerance`, relative above 1 and absolute below. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (!(error <= tolerance)) expect.fail(`[${i}] is ${actual[i]}, expected ${expected[i]} within ${tolerance}`);
  }
}
