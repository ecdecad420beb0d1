import type { PostprocessOptions } from '../model/postprocess-options.ts';
import { type Candidates, nonMaxSuppression, weightBoxes } from './nms.ts';

/**
 * native/ops/postprocess.cc in TypeScript, in float32 and in the same order, for files without NMS: the same detections come out, to
 * the last bit, of the same scores and boxes.
 */

/** What a model gives for one image. */
export interface ModelOutput {
  /** [A, C], without the background. */
  scores: Float32Array;
  /** [A, 4]: xyxy. */
  boxes: Float32Array;
  /** How many of the A are of each map, in order. */
  boxesOfMaps: readonly number[];
}

/** D detections, best first: boxes [D, 4], labels from 0. */
export interface DetectionRows {
  boxes: Float32Array;
  scores: Float32Array;
  labels: Int32Array;
}

export function selectDetections(output: ModelOutput, options: PostprocessOptions): DetectionRows {
  const places = options.topkPer === 'map' ? bestOfMaps(output, options) : bestOfClasses(output, options);
  const candidates = candidatesAt(output, places);
  const kept = nonMaxSuppression(candidates, options.nmsThreshold, options.nms === 'diou').slice(
    0,
    options.maxDetections,
  );
  if (options.nms === 'weighted') weightBoxes(candidates, kept, options.nmsThreshold);
  return {
    boxes: Float32Array.from(kept.flatMap((i) => [...candidates.boxes.subarray(4 * i, 4 * i + 4)])),
    scores: Float32Array.from(kept, (i) => candidates.scores[i]!),
    labels: Int32Array.from(kept, (i) => candidates.labels[i]!),
  };
}

/** Positions in the scores, by class, within one by falling score, equal ones by default box. */
function bestOfClasses(
  { scores, boxes }: ModelOutput,
  { scoreThreshold, topkCandidates }: PostprocessOptions,
): number[] {
  const classes = classCount(scores, boxes);
  const best = Array.from({ length: classes }, (_, label) =>
    passing(scores, label, scores.length, classes, scoreThreshold).slice(0, topkCandidates),
  );
  return best.flat();
}

/** The same order, of the best of each map, all classes together. */
function bestOfMaps(
  { scores, boxes, boxesOfMaps }: ModelOutput,
  { scoreThreshold, topkCandidates }: PostprocessOptions,
): number[] {
  const classes = classCount(scores, boxes);
  let begin = 0;
  const best = boxesOfMaps.flatMap((anchors) => {
    const end = begin + anchors * classes;
    const ofMap = passing(scores, begin, end, 1, scoreThreshold).slice(0, topkCandidates);
    begin = end;
    return ofMap;
  });
  return best.sort((a, b) => (a % classes) - (b % classes) || scores[b]! - scores[a]!);
}

/** Every `step`-th position whose score is above the threshold, by falling score; equal ones stay in order. */
function passing(scores: Float32Array, begin: number, end: number, step: number, scoreThreshold: number): number[] {
  const threshold = Math.fround(scoreThreshold);
  const found: number[] = [];
  for (let place = begin; place < end; place += step) if (scores[place]! > threshold) found.push(place);
  return found.sort((a, b) => scores[b]! - scores[a]!);
}

function candidatesAt({ scores, boxes }: ModelOutput, places: readonly number[]): Candidates {
  const classes = classCount(scores, boxes);
  const chosen = new Float32Array(4 * places.length);
  places.forEach((place, i) => {
    const anchor = Math.floor(place / classes);
    chosen.set(boxes.subarray(4 * anchor, 4 * anchor + 4), 4 * i);
  });
  return {
    boxes: chosen,
    scores: Float32Array.from(places, (place) => scores[place]!),
    labels: Int32Array.from(places, (place) => place % classes),
  };
}

function classCount(scores: Float32Array, boxes: Float32Array): number {
  return scores.length / (boxes.length / 4);
}
