import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  type BatchHandle,
  type DetectorHandle,
  type NativeAddon,
  type NativeDetectorOptions,
  native,
  type StatePart,
  type StepResult,
  type TrainingOptions,
} from '../../lib/binding.ts';
import type { DefaultBoxOptions } from '../../lib/model/default-box-options.ts';
import type { ClassLossName } from '../../lib/model/loss-options.ts';
import { layoutSafetensors } from '../../lib/weights/safetensors.ts';
import { temporaryFolder } from '../support/voc.ts';
import { imageOf, type Tensor, weight } from './support.ts';

export const addon: NativeAddon = await native();

export const imageSize = { width: 64, height: 64 };

/** The article's head on a small backbone: 64x64, four classes, 16 default boxes. */
export const options: NativeDetectorOptions & { defaultBoxes: DefaultBoxOptions } = {
  backbone: 'convnext_test',
  numClasses: 4,
  imageSize,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  defaultBoxes: {
    aspectRatios: [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    scales: [0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1],
    steps: [],
    clip: true,
  },
  seed: 1,
  device: 'cpu',
  precision: 'fp32',
};

/** What a detector's scores have to mean that is trained with this loss. */
export const scoresFor = (classification: ClassLossName) => (classification === 'focal' ? 'sigmoid' : 'softmax');

/** Lets everything through, so that results can be compared. */
export const allDetections = { scoreThreshold: 0, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 };

export const objects = [
  {
    boxes: [
      [9, 10, 23, 22],
      [30, 35, 63, 60],
    ],
    labels: [1, 3],
  },
  { boxes: [[40.5, 4.25, 60, 27]], labels: [2] },
];

export function batchOf(
  images: readonly { boxes: number[][]; labels: number[] }[] = objects,
  size = imageSize,
): Promise<BatchHandle> {
  return addon.createBatch({
    size,
    images: images.map((_, i) => ({ data: imageOf(`picture${i}`, size), ...size, flip: false })),
    counts: Int32Array.from(images, ({ labels }) => labels.length),
    boxes: Float32Array.from(images.flatMap(({ boxes }) => boxes.flat())),
    labels: Int32Array.from(images.flatMap(({ labels }) => labels)),
  });
}

/** The bytes of every tensor of a part, by name. */
export async function readBytes(detector: DetectorHandle, part: StatePart): Promise<Map<string, Buffer>> {
  const { tensors: spans } = layoutSafetensors(await addon.describeState(detector, part));
  const path = join(await temporaryFolder(), 'state');
  await writeFile(path, '');
  await addon.writeState(detector, part, path, spans);
  const bytes = await readFile(path);
  return new Map(
    spans.map(({ name, offset, byteLength }) => [name, bytes.subarray(offset, offset + byteLength)] as const),
  );
}

/** Names of the tensors that differ, sorted. */
export function changed(before: Map<string, Buffer>, after: Map<string, Buffer>): string[] {
  return [...before.keys()].filter((name) => !before.get(name)!.equals(after.get(name)!)).sort();
}

export async function readFloats(detector: DetectorHandle, part: StatePart): Promise<Map<string, Float32Array>> {
  const all = await readBytes(detector, part);
  return new Map([...all].map(([name, bytes]) => [name, new Float32Array(Uint8Array.from(bytes).buffer)] as const));
}

/** Sets the tensors of these names, and no others. */
export async function writeFloats(
  detector: DetectorHandle,
  part: StatePart,
  values: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const infos = [...values].map(([name, { shape }]) => ({ name, dtype: 'F32' as const, shape }));
  const { tensors, totalBytes } = layoutSafetensors(infos);
  const bytes = Buffer.alloc(totalBytes);
  for (const { name, offset } of tensors) bytes.set(Buffer.from(values.get(name)!.data.buffer), offset);
  const path = join(await temporaryFolder(), 'state');
  await writeFile(path, bytes);
  await addon.readState(detector, part, path, tensors);
}

/** Weights that do not depend on a random generator, as test/reference makes them. */
export async function weighted(of: NativeDetectorOptions = options): Promise<DetectorHandle> {
  const detector = await addon.createDetector(of);
  const infos = await addon.describeState(detector, 'model');
  await writeFloats(detector, 'model', new Map(infos.map(({ name, shape }) => [name, weight(name, shape)])));
  return detector;
}

/** A step on the CPU, where each is looked at. */
export async function oneStep(...step: Parameters<NativeAddon['trainStep']>): Promise<StepResult> {
  const results = await addon.trainStep(...step);
  if (results.length !== 1) throw new Error(`Expected one result but received ${results.length}`);
  return results[0]!;
}

/** A detector after so many steps on one batch; the number of a step is its seed. */
export async function trained(training: TrainingOptions, steps = 1, lr = 1e-3) {
  const detector = await addon.createDetector(options);
  await addon.startTraining(detector, training);
  const batch = await batchOf();
  const results: StepResult[] = [];
  for (let step = 0; step < steps; step++) results.push(await oneStep(detector, batch, lr, step));
  return { detector, results };
}

/** How the first SGD step moves a weight, by lr * 1.9 * gradient: with a rate that dwarfs the weights the move is the gradient. */
export async function gradientsOf(
  detector: DetectorHandle,
  batch: BatchHandle,
  more: Omit<Partial<TrainingOptions>, 'optimizer'> = {},
) {
  const learningRate = 1e6;
  const before = await readFloats(detector, 'model');
  await addon.startTraining(detector, { ...more, optimizer: 'sgd', fineTune: true });
  const step = await oneStep(detector, batch, learningRate);
  const after = await readFloats(detector, 'model');
  const gradients = [...before].map(([name, values]) => {
    const gradient = values.map((value, i) => (value - after.get(name)![i]!) / (1.9 * learningRate));
    return [name, gradient] as const;
  });
  return { step, gradients: new Map(gradients) };
}
