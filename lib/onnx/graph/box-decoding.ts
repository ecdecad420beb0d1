import type { Size } from '../../boxes/box.ts';
import type { DetectorConfig } from '../../model/config.ts';
import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';

/** native/ops/box_coder.cc and clip_boxes. */

/** Where a model's default boxes are, and how much of a code is one of their sides. */
export interface DefaultBoxes {
  /** xyxy, in pixels of the model's input: 4 numbers each. */
  boxes: Float32Array;
  weights: { center: number; size: number };
}

/** As the heads of the core have it, which took them from torchvision. */
export function boxWeights({ head }: Pick<DetectorConfig, 'head'>): DefaultBoxes['weights'] {
  return head === 'retinanet' ? { center: 1, size: 1 } : { center: 10, size: 5 };
}

const MAX_LOG_SIZE = Math.log(1000 / 16);

/** Codes [N, A, 4] -> boxes [N, A, 4], xyxy in pixels, inside of the image. No operator here is above opset 13. */
export function decodeBoxes(
  graph: Graph,
  codes: Value,
  { boxes, weights }: DefaultBoxes,
  { width, height }: Size,
): Value {
  const anchors = boxes.length / 4;
  const { centers, sizes } = centered(boxes);
  const size = graph.table('default_boxes.size', sizes, [anchors, 2]);
  const moved = graph.mul(graph.div(graph.slice(codes, -1, 0, 2), graph.float(weights.center)), size);
  const center = graph.add(moved, graph.table('default_boxes.center', centers, [anchors, 2]));
  const logSize = graph.div(graph.slice(codes, -1, 2, 4), graph.float(weights.size));
  const grown = graph.mul(graph.exp(graph.clip(logSize, undefined, MAX_LOG_SIZE)), size);
  const half = graph.mul(grown, graph.float(0.5));
  return inside(graph, graph.sub(center, half), graph.add(center, half), width, height);
}

/** In float32, as the core computes it. */
function centered(boxes: Float32Array): { centers: Float32Array; sizes: Float32Array } {
  const sizes = new Float32Array(boxes.length / 2);
  const centers = new Float32Array(boxes.length / 2);
  for (let i = 0; i < sizes.length; i++) {
    const low = 4 * (i >> 1) + (i & 1);
    sizes[i] = boxes[low + 2]! - boxes[low]!;
    centers[i] = boxes[low]! + Math.fround(0.5 * sizes[i]!);
  }
  return { centers, sizes };
}

/** Corners [N, A, 2] into the image; one side after the other unless it is as wide as high. */
function inside(graph: Graph, low: Value, high: Value, width: number, height: number): Value {
  if (width === height) return graph.clip(graph.concat([low, high], -1), 0, width);
  const columns = [low, high].flatMap((corner) => [
    graph.clip(graph.slice(corner, -1, 0, 1), 0, width),
    graph.clip(graph.slice(corner, -1, 1, 2), 0, height),
  ]);
  return graph.concat(columns, -1);
}
