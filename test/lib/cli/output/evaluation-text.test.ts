import { describe, expect, it } from 'vitest';
import { formatCoco, formatEvaluation } from '../../../../lib/cli/output/evaluation-text.ts';
import type { EvaluationResult } from '../../../../lib/evaluation/evaluator.ts';

const stats = [0.50458, 0.69697, 0.57298, 0.58563, 0.5194, 0.5014, 0.38681, 0.59368, 0.59535, 0.63981, 0.56642, -1];
const coco = { stats } as EvaluationResult['coco'];

// What COCOeval.summarize prints for the first eleven of these numbers; -1 as it prints that.
const printed = ` Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505
 Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.697
 Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 0.573
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.586
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.519
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.501
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.387
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 0.594
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.595
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.640
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.566
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000`;

describe('formatCoco', () => {
  it('is the layout of pycocotools', () => {
    expect(formatCoco(coco)).toBe(printed);
  });
});

describe('formatEvaluation', () => {
  const cat = { label: 'cat', ap: 0.25, ap50: 0.5, voc2007: 0.4545, voc2010: 0.45, groundTruths: 12, detections: 30 };
  const dog = { label: 'dog', ap: -1, ap50: -1, voc2007: -1, voc2010: Number.NaN, groundTruths: 0, detections: 3 };
  const result: EvaluationResult = {
    map: 0.5046,
    map50: 0.697,
    coco,
    voc2007: 0.61234,
    voc2010: 0.62,
    compat: { torchmetrics: { map: 0.5035, map50: 0.697 } },
    torchmetrics: { map: 0.5035, map50: 0.697 },
    perClass: [cat, dog],
    bySide: [
      { name: 'side < 0.05', ap50: -1, groundTruths: 0 },
      { name: 'side 0.05 - 0.1', ap50: 0.3333, groundTruths: 12 },
    ],
    images: 87,
    seconds: 12.34,
  };
  const text = formatEvaluation(result);

  it('has a line for each class, and dashes where a class has no objects', () => {
    expect(text).toContain('class  AP@0.5:0.95  AP@0.5  VOC2007  VOC2010  objects  detections');
    expect(text).toContain('cat         0.2500  0.5000   0.4545   0.4500       12          30');
    expect(text).toContain('dog             --      --       --       --        0           3');
  });

  it('has a line for each size', () => {
    expect(text).toContain('size, of the image  AP@0.5  objects');
    expect(text).toContain('side < 0.05             --        0');
    expect(text).toContain('side 0.05 - 0.1     0.3333       12');
  });

  it("has pycocotools' lines, VOC's numbers, and the pair that the article prints", () => {
    expect(text.startsWith(printed)).toBe(true);
    expect(text).toContain('VOC mAP@0.50: 0.6123 (2007, 11 points), 0.6200 (2010, area)');
    expect(text).toContain('mAP@0.50:0.95: 0.5035');
    expect(text).toContain('\nmAP@0.50: 0.6970\n');
    expect(text).toContain('87 images in 12.3 s');
  });
});
