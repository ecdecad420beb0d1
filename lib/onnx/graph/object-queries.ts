import type { Size } from '../../boxes/box.ts';
import type { PostprocessOptions } from '../../model/postprocess-options.ts';
import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';
import type { Detections } from './postprocess.ts';

/**
 * Detections in the form of a DETR's answers, which `pipeline('object-detection')` of transformers.js reads: a fixed number of queries
 * with `logits` [1, Q, columns] and `pred_boxes` [1, Q, 4], centre and size from 0 to 1.
 *
 * It takes a softmax of the logits, drops the queries whose largest logit is the last, "no object", and takes the largest of the rest
 * for the class. So that the softmax is our score s exactly, and the largest however small s is, the rest of 1 is spread over unnamed
 * columns between the classes and the last one.
 */

const NEVER = -100; // a logit: exp(-100) is nothing in float32 beside any score

/** Unnamed columns: each has less than the smallest score that counts, (1 - s) / count < s. */
export function unnamedColumns({ scoreThreshold }: Pick<PostprocessOptions, 'scoreThreshold'>): number {
  return Math.ceil(1 / Math.max(scoreThreshold, SMALLEST_SCORE));
}

/** Detections of lower scores are left out: pipelines begin at 0.1 or above. */
const SMALLEST_SCORE = 0.01;

export function detectionQueries(
  graph: Graph,
  detections: Detections,
  classes: number,
  { width, height }: Size,
  { scoreThreshold, maxDetections }: PostprocessOptions,
): { logits: Value; pred_boxes: Value } {
  const unnamed = unnamedColumns({ scoreThreshold });
  const scores = graph.reshape(padded(graph, detections.scores, maxDetections, []), [1, maxDetections, 1]);
  const boxes = graph.reshape(padded(graph, detections.boxes, maxDetections, [4]), [1, maxDetections, 4]);
  const labels = padded(graph, graph.cast(detections.labels, 'float'), maxDetections, []);
  const counts = graph.greater(scores, graph.float(Math.max(scoreThreshold, SMALLEST_SCORE)));
  const never = graph.float(NEVER);
  const numbers = graph.floats(Array.from({ length: classes }, (_, i) => i));
  const isLabel = graph.equal(graph.reshape(labels, [1, maxDetections, 1]), numbers);
  const named = graph.where(graph.and(isLabel, counts), graph.log(scores), never);
  const rest = graph.log(graph.div(graph.clip(graph.sub(graph.float(1), scores), 1e-30, 1), graph.float(unnamed)));
  const spread = graph.add(graph.where(counts, rest, never), graph.floats(Array(unnamed).fill(0)));
  const nothing = graph.where(counts, never, graph.float(0));
  return { logits: graph.concat([named, spread, nothing], -1), pred_boxes: relative(graph, boxes, width, height) };
}

/** [D, ...] -> as many rows as there are queries, zeros after the detections. */
function padded(graph: Graph, rows: Value, count: number, row: readonly number[]): Value {
  const shape = [count, ...row];
  const zeros = graph.floats(Array(shape.reduce((a, b) => a * b)).fill(0), shape);
  return graph.slice(graph.concat([rows, zeros], 0), 0, 0, count);
}

/** xyxy in pixels -> centre and size, parts of the image's sides. */
function relative(graph: Graph, boxes: Value, width: number, height: number): Value {
  const [low, high] = [graph.slice(boxes, -1, 0, 2), graph.slice(boxes, -1, 2, 4)];
  const sides = graph.floats([width, height]);
  const center = graph.mul(graph.add(low, high), graph.float(0.5));
  return graph.concat([graph.div(center, sides), graph.div(graph.sub(high, low), sides)], -1);
}
