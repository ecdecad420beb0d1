import type { CocoResult } from '../../evaluation/average-precision.ts';
import type { EvaluationResult } from '../../evaluation/evaluator.ts';
import { alignColumns } from './text.ts';

type Line = readonly [kind: 'Precision' | 'Recall', iou: string, area: string, maxDetections: number];

/** The twelve lines of pycocotools, in the order of its `stats`. */
const lines: readonly Line[] = [
  ['Precision', '0.50:0.95', 'all', 100],
  ['Precision', '0.50', 'all', 100],
  ['Precision', '0.75', 'all', 100],
  ['Precision', '0.50:0.95', 'small', 100],
  ['Precision', '0.50:0.95', 'medium', 100],
  ['Precision', '0.50:0.95', 'large', 100],
  ['Recall', '0.50:0.95', 'all', 1],
  ['Recall', '0.50:0.95', 'all', 10],
  ['Recall', '0.50:0.95', 'all', 100],
  ['Recall', '0.50:0.95', 'small', 100],
  ['Recall', '0.50:0.95', 'medium', 100],
  ['Recall', '0.50:0.95', 'large', 100],
];

/** Formats the scores like `COCOeval.summarize` of pycocotools. */
export function formatCoco({ stats }: CocoResult): string {
  return lines
    .map(([kind, iou, area, limit], i) => {
      const title = `Average ${kind}`.padEnd(18);
      const type = kind === 'Precision' ? '(AP)' : '(AR)';
      const range = `IoU=${iou.padEnd(9)} | area=${area.padStart(6)} | maxDets=${String(limit).padStart(3)}`;
      return ` ${title} ${type} @[ ${range} ] = ${stats[i]!.toFixed(3)}`;
    })
    .join('\n');
}

/** Formats all results of an evaluation. A class without objects shows `--`. */
export function formatEvaluation(result: EvaluationResult): string {
  const { coco, perClass, bySide, voc2007, voc2010, compat, images, seconds } = result;
  const score = (value: number) => (value < 0 || Number.isNaN(value) ? '--' : value.toFixed(4));
  const rows = perClass.map(({ label, ap, ap50, voc2007, voc2010, groundTruths, detections }) => [
    label,
    ...[ap, ap50, voc2007, voc2010].map(score),
    String(groundTruths),
    String(detections),
  ]);
  const sizes = bySide.map(({ name, ap50, groundTruths }) => [name, score(ap50), String(groundTruths)]);
  const heading = ['class', 'AP@0.5:0.95', 'AP@0.5', 'VOC2007', 'VOC2010', 'objects', 'detections'];
  return [
    formatCoco(coco),
    '',
    alignColumns([heading, ...rows]),
    '',
    alignColumns([['size, of the image', 'AP@0.5', 'objects'], ...sizes]),
    '',
    `VOC mAP@0.50: ${score(voc2007)} (2007, 11 points), ${score(voc2010)} (2010, area)`,
    `mAP@0.50:0.95: ${score(compat.torchmetrics.map)} (torchmetrics, as the article prints it)`,
    `mAP@0.50: ${score(compat.torchmetrics.map50)}`,
    `${images} images in ${seconds.toFixed(1)} s`,
  ].join('\n');
}
