import type { Size } from '../../boxes/box.ts';
import type { DetectorConfig } from '../../model/config.ts';
import type { BoxKind } from '../../model/default-box-options.ts';
import { headOf } from '../../model/detection-head.ts';
import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';

/** native/ops/box_coder.cc and clip_boxes. */

/**
 * How the code of a box stands for it. `offsets`: torchvision's (dx, dy, dw, dh) relative to a default box, multiplied by the two
 * numbers. `distances`: the logarithms of the distances of a box's four sides from a point, in cells.
 */
export type BoxCoding = { kind: 'offsets'; center: number; size: number } | { kind: 'distances' };

/** Where a model's default boxes are, and how a code stands for a box. */
export interface DefaultBoxes {
  /** xyxy, in pixels of the model's input: 4 numbers each. A point is the upper left corner of its cell. */
  boxes: Float32Array;
  coding: BoxCoding;
}

/** As the heads of the core have it, which took them from torchvision and mmdet. */
const codings: Record<BoxKind, BoxCoding> = {
  'default boxes': { kind: 'offsets', center: 10, size: 5 },
  anchors: { kind: 'offsets', center: 1, size: 1 },
  points: { kind: 'distances' },
};

export function boxCoding({ head }: Pick<DetectorConfig, 'head'>): BoxCoding {
  return codings[headOf(head).boxes];
}

const MAX_LOG_SIZE = Math.log(1000 / 16);
const MAX_LOG_DISTANCE = 10;

/** Codes [N, A, 4] -> boxes [N, A, 4], xyxy in pixels, inside of the image. No operator here is above opset 13. */
export function decodeBoxes(graph: Graph, codes: Value, { boxes, coding }: DefaultBoxes, image: Size): Value {
  const decoded =
    coding.kind === 'distances' ? decodeDistances(graph, codes, boxes) : decodeOffsets(graph, codes, boxes, coding);
  return inside(graph, ...decoded, image);
}

type Corners = [low: Value, high: Value];

function decodeOffsets(
  graph: Graph,
  codes: Value,
  boxes: Float32Array,
  weights: { center: number; size: number },
): Corners {
  const anchors = boxes.length / 4;
  const { centers, sizes } = centered(boxes);
  const size = graph.table('default_boxes.size', sizes, [anchors, 2]);
  const moved = graph.mul(graph.div(graph.slice(codes, -1, 0, 2), graph.float(weights.center)), size);
  const center = graph.add(moved, graph.table('default_boxes.center', centers, [anchors, 2]));
  const logSize = graph.div(graph.slice(codes, -1, 2, 4), graph.float(weights.size));
  const grown = graph.mul(graph.exp(graph.clip(logSize, undefined, MAX_LOG_SIZE)), size);
  const half = graph.mul(grown, graph.float(0.5));
  return [graph.sub(center, half), graph.add(center, half)];
}

function decodeDistances(graph: Graph, codes: Value, cells: Float32Array): Corners {
  const count = cells.length / 4;
  const point = graph.table(
    'points',
    pairs(cells, (low) => low),
    [count, 2],
  );
  const stride = graph.table(
    'strides',
    pairs(cells, (low, high) => high - low),
    [count, 2],
  );
  const distances = graph.exp(graph.clip(codes, undefined, MAX_LOG_DISTANCE));
  const [before, after] = [graph.slice(distances, -1, 0, 2), graph.slice(distances, -1, 2, 4)];
  return [graph.sub(point, graph.mul(before, stride)), graph.add(point, graph.mul(after, stride))];
}

/** Of the x and the y of each box, something of its low and its high side, in float32: [A, 2]. */
function pairs(boxes: Float32Array, of: (low: number, high: number) => number): Float32Array {
  return Float32Array.from({ length: boxes.length / 2 }, (_, i) => {
    const low = 4 * (i >> 1) + (i & 1);
    return of(boxes[low]!, boxes[low + 2]!);
  });
}

/** In float32, as the core computes it. */
function centered(boxes: Float32Array): { centers: Float32Array; sizes: Float32Array } {
  const size = (low: number, high: number) => Math.fround(high - low);
  const centers = pairs(boxes, (low, high) => low + Math.fround(0.5 * size(low, high)));
  return { centers, sizes: pairs(boxes, size) };
}

/** Corners [N, A, 2] into the image; one side after the other unless it is as wide as high. */
function inside(graph: Graph, low: Value, high: Value, { width, height }: Size): Value {
  if (width === height) return graph.clip(graph.concat([low, high], -1), 0, width);
  const columns = [low, high].flatMap((corner) => [
    graph.clip(graph.slice(corner, -1, 0, 1), 0, width),
    graph.clip(graph.slice(corner, -1, 1, 2), 0, height),
  ]);
  return graph.concat(columns, -1);
}
