import { readFile } from 'node:fs/promises';
import type { Detection } from '../../boxes/detection.ts';
import type { DetectOptions } from '../../detector/detect-options.ts';
import { decodeImage, type RgbImage } from '../../images/image.ts';

/** What runs a detector: LibTorch on a checkpoint, or an ONNX runtime on a file. */
export type Contestant =
  | { runtime: 'libtorch'; checkpoint: string; precision: 'fp32' | 'bf16' }
  | { runtime: 'onnxruntime-node' | 'onnxruntime-web'; file: string };

/** What a contestant is asked to do, in a process of its own. */
export interface Task {
  contestant: Contestant;
  /** Files. All are looked at; the first `timed` of them are measured. */
  images: readonly string[];
  timed: number;
  threads: number | undefined;
  limits: Pick<DetectOptions, 'scoreThreshold' | 'maxDetections'>;
}

export interface Measurement {
  /** Milliseconds from nothing to a detector that has seen an image. */
  start: number;
  /** Milliseconds, the median over the images. */
  decode: number;
  /** With resizing and normalising. */
  model: number;
  postprocess: number;
  /** The largest that the process ever had, in bytes. */
  memory: number;
  detections: Detection[][];
}

interface Loaded {
  detect(image: RgbImage, options: DetectOptions): Promise<Detection[]>;
  dispose(): void;
}

/** Measures in this process, which should have done nothing else. */
export async function measure({ contestant, images, timed, threads, limits }: Task): Promise<Measurement> {
  const files = await Promise.all(images.map((image) => readFile(image)));
  const began = performance.now();
  const detector = await load(contestant, threads);
  await detector.detect(await decodeImage(files[0]!), limits);
  const start = performance.now() - began;

  const times = { decode: [] as number[], model: [] as number[], all: [] as number[] };
  const timeOf = async <T>(list: number[], work: () => Promise<T>): Promise<T> => {
    const from = performance.now();
    const result = await work();
    list.push(performance.now() - from);
    return result;
  };
  const detections: Detection[][] = [];
  for (const [i, file] of files.entries()) {
    const image = await timeOf(times.decode, () => decodeImage(file));
    // No score is above 1: what is left is the model.
    if (i < timed) await timeOf(times.model, () => detector.detect(image, { ...limits, scoreThreshold: 1 }));
    detections.push(await timeOf(i < timed ? times.all : [], () => detector.detect(image, limits)));
  }
  detector.dispose();
  const model = median(times.model);
  return {
    ...{ start, decode: median(times.decode.slice(0, timed)), model },
    postprocess: Math.max(0, median(times.all) - model),
    memory: process.resourceUsage().maxRSS * 1024,
    detections,
  };
}

async function load(contestant: Contestant, threads: number | undefined): Promise<Loaded> {
  const own = threads === undefined ? {} : { threads };
  if (contestant.runtime === 'libtorch') {
    const { Detector } = await import('../../detector/detector.ts');
    return await Detector.load(contestant.checkpoint, { precision: contestant.precision, ...own });
  }
  if (contestant.runtime === 'onnxruntime-node') {
    const { OnnxDetector } = await import('../../inference/onnx-detector.ts');
    return await OnnxDetector.load(contestant.file, own);
  }
  const { OnnxDetector } = await import('../../inference/web-detector.ts');
  return await OnnxDetector.load(await readFile(contestant.file), { executionProviders: ['wasm'] });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
