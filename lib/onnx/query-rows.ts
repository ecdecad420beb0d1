import type { Size } from '../boxes/box.ts';
import type { RuntimeTensor } from './runtime.ts';
import type { DetectionRows } from './select-detections.ts';

/** What transformers.js makes of `logits` and `pred_boxes` (its post_process_object_detection), with boxes as they were. */
export function queriesToRows(
  outputs: Record<string, RuntimeTensor>,
  classes: number,
  { width, height }: Size,
): DetectionRows {
  const logits = outputs.logits!;
  const columns = logits.dims[2]!;
  const relative = outputs.pred_boxes!.data as Float32Array;
  const found = Array.from({ length: logits.dims[1]! }, (_, query) => {
    const row = (logits.data as Float32Array).subarray(query * columns, (query + 1) * columns);
    const label = row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    const sum = row.reduce((total, logit) => total + Math.exp(logit - row[label]!), 0);
    const [x, y, w, h] = relative.subarray(4 * query, 4 * query + 4) as unknown as [number, number, number, number];
    const box = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height];
    return { label, score: 1 / sum, box };
  }).filter(({ label }) => label < classes);
  return {
    boxes: Float32Array.from(found.flatMap(({ box }) => box)),
    scores: Float32Array.from(found, ({ score }) => score),
    labels: Int32Array.from(found, ({ label }) => label),
  };
}
