import { float32AtMost } from '../../base/float32.ts';
import type { PostprocessOptions } from '../../model/postprocess-options.ts';
import type { Value } from '../proto/model-proto.ts';
import type { Graph } from './graph.ts';

/** native/ops/postprocess.cc and nms.cc with plain NMS, for one image: the same operations in the same order. */

/** For one image: boxes [D, 4], scores [D] and labels [D] from 0, best first. */
export interface Detections {
  boxes: Value;
  scores: Value;
  labels: Value;
}

/** What goes into NMS, with C classes: M boxes in each of B groups. */
interface Candidates {
  /** [B, M, 4] and, C or B of which is 1, [B, C, M]; a score at or below the threshold does not count. */
  boxes: Value;
  scores: Value;
  /** Of each box, from 1: [B, M]. */
  labels: Value;
  /** Of each box, [B, M]. */
  best: Value;
}

/** torchvision: up to so many boxes NMS holds classes apart by moving their boxes, which may change the last bit. */
const COORDINATE_TRICK_MAXIMUM = 1000;

/** Scores [1, A, C] without the background, boxes [1, A, 4]; `boxesOfMaps` says how many of them each map has. */
export function selectDetections(
  graph: Graph,
  scores: Value,
  boxes: Value,
  boxesOfMaps: readonly number[],
  options: PostprocessOptions,
): Detections {
  const { topkPer = 'class', nmsThreshold, scoreThreshold, maxDetections } = options;
  const rows = {
    scores: graph.reshape(scores, scores.shape.slice(1) as number[]),
    boxes: graph.reshape(boxes, [-1, 4]),
  };
  const candidates =
    topkPer === 'map' ? bestOfMaps(graph, rows, boxesOfMaps, options) : bestOfClasses(graph, rows, options);
  const apart = heldApart(graph, candidates, scoreThreshold);
  const selected = graph.nonMaxSuppression(apart, candidates.scores, float32AtMost(nmsThreshold), scoreThreshold);
  return bestDetections(graph, candidates, selected, maxDetections);
}

interface Rows {
  scores: Value;
  boxes: Value;
}

/** The best of each class, whose boxes are a group: [C, M, 4] and [C, 1, M]. */
function bestOfClasses(graph: Graph, { scores, boxes }: Rows, { topkCandidates }: PostprocessOptions): Candidates {
  const [anchors, classes] = scores.shape as [number, number];
  const count = Math.min(topkCandidates, anchors);
  const { values, indices } = graph.topK(graph.transpose(scores, [1, 0]), graph.integers([count]), count);
  return {
    boxes: graph.gather(boxes, indices),
    scores: graph.reshape(values, [classes, 1, count]),
    labels: graph.table('class_numbers', columnOfLabels(classes), [classes, 1]),
    best: values,
  };
}

/** The best of each map, all classes together: one group, [1, M, 4], with scores [1, C, M] that are -1 for the other classes. */
function bestOfMaps(
  graph: Graph,
  { scores, boxes }: Rows,
  boxesOfMaps: readonly number[],
  { topkCandidates }: PostprocessOptions,
): Candidates {
  const classes = scores.shape[1] as number;
  let begin = 0;
  const maps = boxesOfMaps.map((anchors) => {
    const places = anchors * classes;
    const count = Math.min(topkCandidates, places);
    const flat = graph.reshape(graph.slice(scores, 0, begin, begin + anchors), [places]);
    const { values, indices } = graph.topK(flat, graph.integers([count]), count);
    const shifted = graph.add(indices, graph.integers([begin * classes]));
    begin += anchors;
    return { values, places: shifted };
  });
  const best = graph.concat(
    maps.map(({ values }) => values),
    0,
  );
  const places = graph.concat(
    maps.map((map) => map.places),
    0,
  );
  const count = best.shape[0] as number;
  const found = graph.gather(boxes, graph.div(places, graph.integers([classes])));
  const labels = graph.add(graph.cast(graph.mod(places, graph.integers([classes])), 'float'), graph.float(1));
  const isOfClass = graph.equal(labels, graph.table('class_numbers', columnOfLabels(classes), [classes, 1]));
  return {
    boxes: graph.reshape(found, [1, count, 4]),
    scores: graph.reshape(graph.where(isOfClass, best, graph.float(-1)), [1, classes, count]),
    labels: graph.reshape(labels, [1, count]),
    best: graph.reshape(best, [1, count]),
  };
}

function columnOfLabels(classes: number): Float32Array {
  return Float32Array.from({ length: classes }, (_, i) => i + 1);
}

/** torchvision's "coordinate trick": each class's boxes are moved by their label times the largest coordinate and 1. */
function heldApart(graph: Graph, { boxes, labels, best }: Candidates, scoreThreshold: number): Value {
  const passes = graph.cast(graph.greater(best, graph.float(scoreThreshold)), 'float');
  const few = graph.notAbove(graph.sumOfAll(passes), graph.float(COORDINATE_TRICK_MAXIMUM));
  const column = (x: Value) => graph.reshape(x, [...(x.shape as number[]), 1]);
  const largest = graph.maxOfAll(graph.mul(boxes, column(passes)));
  const span = graph.mul(graph.add(largest, graph.float(1)), graph.cast(few, 'float'));
  return graph.add(boxes, graph.mul(column(labels), span));
}

/** From the rows that NMS gives, group or class first and then box; of equal scores the first stays first. */
function bestDetections(graph: Graph, { boxes, scores, best }: Candidates, selected: Value, most: number): Detections {
  const [groups, classes, count] = scores.shape as [number, number, number];
  const columnOf = (column: number) => graph.gather(selected, graph.integers([column], []), 1);
  const box = columnOf(2);
  const [label, place] =
    groups > 1 || classes === 1
      ? [columnOf(0), graph.add(graph.mul(columnOf(0), graph.integers([count], [])), box)]
      : [columnOf(1), box];
  const kept = graph.gather(graph.reshape(best, [-1]), place);
  const limit = graph.least(graph.sizesOf(kept), graph.integers([most]));
  const { values, indices } = graph.topK(kept, limit, 'D');
  return {
    boxes: graph.gather(graph.reshape(boxes, [-1, 4]), graph.gather(place, indices)),
    scores: values,
    labels: graph.gather(label, indices),
  };
}
