import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Detector } from '../../../lib/detector/detector.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import { layoutSafetensors } from '../../../lib/weights/safetensors.ts';
import { imageOf, weight } from '../../support/named-values.ts';
import type { Target, Workload } from '../workload.ts';
import type { Task } from './worker.ts';

export type Precision = 'fp32' | 'bf16';

/** A training step, and after it the resident memory in bytes. Every step is looked at, as the reference's is: that waits for a GPU. */
export async function train(
  options: Workload & { targets: Target[]; precision: Precision; device: string },
): Promise<Task> {
  const detector = await createDetector(options);
  const { addon, handle } = internalsOf(detector);
  await addon.startTraining(handle, { optimizer: 'adamw', fineTune: true, lookEvery: 1 });
  const size = detector.config.imageSize;
  const batch = await addon.createBatch({
    size,
    images: options.targets.map((_, i) => ({ data: imageOf(`picture${i}`, size), ...size, flip: false })),
    counts: Int32Array.from(options.targets, ({ labels }) => labels.length),
    boxes: Float32Array.from(options.targets.flatMap(({ boxes }) => boxes.flat())),
    labels: Int32Array.from(options.targets.flatMap(({ labels }) => labels)),
  });
  const step = async () => {
    const [result] = await addon.trainStep(handle, batch, 1e-4);
    return { result: { loss: result!.loss, rss: process.memoryUsage.rss() } };
  };
  return { step, facts: { libtorch: addon.libtorchVersion } };
}

/** From decoded images to detections. */
export async function predict(
  options: Workload & { images: number; precision: Precision; device: string },
): Promise<Task> {
  const detector = await createDetector(options);
  const size = detector.config.imageSize;
  const images = Array.from({ length: options.images }, (_, i) => ({ data: imageOf(`picture${i}`, size), ...size }));
  const step = async () => {
    const found = await detector.detect(images, { scoreThreshold: 0.01, maxDetections: 200 });
    const result = found.map((detections) => ({
      boxes: detections.flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax]),
      scores: detections.map(({ score }) => score),
      labels: detections.map(({ label }) => Number(label)),
    }));
    return { result };
  };
  return { step, facts: { libtorch: internalsOf(detector).addon.libtorchVersion } };
}

/** The forward pass of a file in onnxruntime-node, and what it gives. */
export async function onnx({ path, side, images }: { path: string; side: number; images: number }): Promise<Task> {
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const session = await InferenceSession.create(path);
  const size = { width: side, height: side };
  const plane = side * side;
  const pixels = new Float32Array(images * 3 * plane);
  for (let i = 0; i < images; i++) {
    const picture = imageOf(`picture${i}`, size);
    picture.forEach((byte, at) => {
      pixels[(3 * i + (at % 3)) * plane + Math.floor(at / 3)] = byte / 255;
    });
  }
  const feed = new Tensor('float32', pixels, [images, 3, side, side]);
  const step = async () => {
    const outputs = await session.run({ images: feed });
    return { result: Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, rounded(data)])) };
  };
  return { step, facts: { engine: 'onnxruntime-node' } };
}

/** Every hundredth value: enough to tell two models apart. */
function rounded(data: unknown): number[] {
  return Array.from(data as Float32Array).filter((_, i) => i % 101 === 0);
}

/** A detector with the weights that the reference gives itself: both make them from their names. Classes are numbers; `classes` counts the background. */
export async function createDetector({
  backbone,
  side,
  classes,
  background,
  precision,
  device = 'cpu',
}: Workload & { precision: Precision; device?: string }): Promise<Detector> {
  const names = Array.from({ length: classes - 1 }, (_, i) => String(i + 1));
  const imageSize = { width: side, height: side };
  const detector = await Detector.create({ classes: names, preset: 'article', backbone, imageSize, precision, device });
  const { addon, handle } = internalsOf(detector);
  const { header, tensors } = layoutSafetensors(await addon.describeState(handle, 'model'));
  const values = tensors.map(({ name, shape }) => {
    const { data } = weight(name, shape);
    const isClassBias = /^head\.classification_head\..*\.bias$/.test(name);
    return new Uint8Array((isClassBias ? data.map((bias, i) => (i % classes === 0 ? background : bias)) : data).buffer);
  });
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-bench-'));
  try {
    const path = join(folder, 'weights.safetensors');
    await writeFile(path, [header, ...values]);
    await addon.readState(handle, 'model', path, tensors);
  } finally {
    await rm(folder, { recursive: true });
  }
  return detector;
}
