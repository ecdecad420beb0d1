import type { FlatDetections } from '../binding.ts';
import type { Detection } from '../boxes/detection.ts';

/** One image's rows of a batch's detections, as views. */
export type DetectionRows = Pick<FlatDetections, 'boxes' | 'scores' | 'labels'>;

/** The rows of each image of a batch. */
export function splitDetections({ counts, boxes, scores, labels }: FlatDetections): DetectionRows[] {
  let begin = 0;
  return Array.from(counts, (count) => {
    const end = begin + count;
    const rows = {
      boxes: boxes.subarray(4 * begin, 4 * end),
      scores: scores.subarray(begin, end),
      labels: labels.subarray(begin, end),
    };
    begin = end;
    return rows;
  });
}

/** The detections of each image of a batch, best first, with the names of their classes: label 1 is the first of `classes`. */
export function unpackDetections(flat: FlatDetections, classes: readonly string[]): Detection[][] {
  return splitDetections(flat).map(({ boxes, scores, labels }) =>
    Array.from(scores, (score, i) => ({
      label: classes[labels[i]! - 1]!,
      score,
      box: { xmin: boxes[4 * i]!, ymin: boxes[4 * i + 1]!, xmax: boxes[4 * i + 2]!, ymax: boxes[4 * i + 3]! },
    })),
  );
}
