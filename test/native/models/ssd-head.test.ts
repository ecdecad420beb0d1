import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, pattern, type Tensor, weight } from '../support.ts';

const addon = await loadTestAddon();
const { channels, anchors, classes, shapes, output } = await golden('native/ssd_head.json');
const weights = Object.entries<number[]>(shapes).map(([name, shape]) => ({ name, tensor: weight(name, shape) }));
const maps = [pattern('map0', [2, 5, 2, 3], 2), pattern('map1', [2, 3, 1, 2], 2)];
const forward = (given: Tensor[]) => addon.ssdHead(channels, anchors, classes, weights, given);

describe('SSD head', () => {
  it("equals torchvision's SSDHead on two maps, by the same parameter names", () => {
    const { clsLogits, bboxRegression } = forward(maps);
    expect(clsLogits.shape).toEqual([2, 2 * 3 * 4 + 2 * 6, classes]);
    expect(bboxRegression.shape).toEqual([2, 2 * 3 * 4 + 2 * 6, 4]);
    expectClose(clsLogits.data, output.cls_logits, 1e-5);
    expectClose(bboxRegression.data, output.bbox_regression, 1e-5);
  });

  it('uses its first entry alone when there is one map', () => {
    const both = forward(maps);
    const first = forward(maps.slice(0, 1));
    expect(first.clsLogits.shape).toEqual([2, 24, classes]);
    expect([...first.clsLogits.data.subarray(0, 24 * classes)]).toEqual([
      ...both.clsLogits.data.subarray(0, 24 * classes),
    ]);
  });
});
