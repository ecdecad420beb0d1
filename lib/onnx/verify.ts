import { readFile } from 'node:fs/promises';
import { type Box, boxIou, type Size } from '../boxes/box.ts';
import type { Detection } from '../boxes/detection.ts';
import type { RgbImage } from '../images/image.ts';
import type { DetectorConfig } from '../model/config.ts';
import { OnnxModel } from './onnx-model.ts';
import { readModel } from './read-model.ts';
import { findOnnxRuntime } from './runtime.ts';

/** The differences between a file's detections and those of its detector. */
export interface Verification {
  /** The number of compared images. */
  images: number;
  /** The number of the detector's detections in them. */
  detections: number;
  /** The number of detections without a match in the other. They may be on the other side of a threshold. */
  unmatched: number;
  /** The largest difference of a box side, in pixels. */
  box: number;
  /** The largest difference of a score. */
  score: number;
}

type Detect = (images: readonly RgbImage[]) => Promise<Detection[][]>;

const IMAGES = 3;

/** Runs a file that was just written beside its detector; undefined where there is no onnxruntime-node. */
export async function verifyModel(path: string, detect: Detect): Promise<Verification | undefined> {
  const runtime = await findOnnxRuntime();
  if (!runtime) return undefined;
  const bytes = await readFile(path);
  const { metadata, externalData } = await readModel(path, bytes);
  const model = await OnnxModel.open(runtime, externalData === undefined ? bytes : path, metadata);
  try {
    const size = sizeSeen(metadata.config);
    const images = Array.from({ length: IMAGES }, (_, i) => drawnImage(size, i));
    const limits = metadata.config.postprocess;
    return compare(await detect(images), await model.detect(images, limits));
  } finally {
    await model.release();
  }
}

/** Of images that fill a model's input or, with a letterbox, not all of it. */
function sizeSeen({ imageSize: { width, height }, resize }: DetectorConfig): Size {
  return { width, height: resize === 'letterbox' ? Math.ceil(0.75 * height) : height };
}

/** Pairs detections of a label that overlap best. */
export function compare(expected: readonly Detection[][], found: readonly Detection[][]): Verification {
  const result = { images: expected.length, detections: 0, unmatched: 0, box: 0, score: 0 };
  expected.forEach((detections, image) => {
    const rest = new Set(found[image]);
    for (const detection of detections) {
      const match = bestMatch(detection, rest);
      if (match) rest.delete(match);
      if (!match) result.unmatched++;
      else {
        result.box = Math.max(result.box, boxDistance(detection.box, match.box));
        result.score = Math.max(result.score, Math.abs(detection.score - match.score));
      }
    }
    result.detections += detections.length;
    result.unmatched += rest.size;
  });
  return result;
}

/** The nearest one of the same label that overlaps by half, or is less than a pixel away: a box may be a line. */
function bestMatch({ label, box, score }: Detection, candidates: Iterable<Detection>): Detection | undefined {
  let best: { detection: Detection; distance: number } | undefined;
  for (const detection of candidates) {
    if (detection.label !== label) continue;
    const apart = boxDistance(box, detection.box);
    const distance = apart + Math.abs(score - detection.score);
    if (best && best.distance <= distance) continue;
    if (apart < 1 || boxIou(box, detection.box) >= 0.5) best = { detection, distance };
  }
  return best?.detection;
}

function boxDistance(a: Box, b: Box): number {
  const sides = ['xmin', 'ymin', 'xmax', 'ymax'] as const;
  return Math.max(...sides.map((side) => Math.abs(a[side] - b[side])));
}

/** Rectangles of many sizes and colours on a ground that is not even: the same for ever. */
export function drawnImage({ width, height }: Size, seed: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = 96 + ((i * (seed + 3)) % 61);
  let drawn = seed * 1000;
  const draw = () => (++drawn * 0.6180339887498949) % 1; // the golden ratio: evenly spread
  for (let rectangle = 0; rectangle < 16; rectangle++) {
    const [w, h] = [(0.05 + 0.45 * draw()) * width, (0.05 + 0.45 * draw()) * height].map(Math.ceil) as [number, number];
    const [x, y] = [Math.floor(draw() * (width - w)), Math.floor(draw() * (height - h))];
    const color = [255 * draw(), 255 * draw(), 255 * draw()];
    for (let row = y; row < y + h; row++) {
      for (let column = x; column < x + w; column++) data.set(color, 3 * (row * width + column));
    }
  }
  return { data, width, height };
}
