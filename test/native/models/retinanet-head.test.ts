import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, pattern, weight } from '../support.ts';

const addon = await loadTestAddon();
const { channels, anchors, classes, shapes, output } = await golden('native/retinanet_head.json');
const weights = Object.entries<number[]>(shapes).map(([name, shape]) => ({ name, tensor: weight(name, shape) }));
const maps = [pattern('retina0', [2, channels, 3, 4], 2), pattern('retina1', [2, channels, 2, 2], 2)];

describe('RetinaNet head', () => {
  it("equals torchvision's RetinaNetHead on two maps, by the same parameter names", () => {
    const { clsLogits, bboxRegression } = addon.retinaNetHead(channels, anchors, classes, weights, maps);
    const rows = (3 * 4 + 2 * 2) * anchors;
    expect([clsLogits.shape, bboxRegression.shape]).toEqual([
      [2, rows, classes],
      [2, rows, 4],
    ]);
    expectClose(clsLogits.data, output.cls_logits, 1e-5);
    expectClose(bboxRegression.data, output.bbox_regression, 1e-5);
  });

  it('starts with scores of .01: small weights, and a bias for the classes alone', () => {
    const parameters = addon.retinaNetParameters(channels, anchors, classes, 1);
    expect(parameters.map(({ name, tensor }) => [name, tensor.shape])).toEqual(Object.entries(shapes));
    for (const { name, tensor } of parameters) {
      const values = [...tensor.data];
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
      const [center, spread] = name.endsWith('.weight')
        ? [0, 0.01]
        : [name.includes('cls_logits') ? -Math.log(99) : 0, 0];
      expect(Math.abs(mean - center!), name).toBeLessThan(0.002);
      expect(Math.abs(deviation - spread!), name).toBeLessThan(0.001);
    }
  });
});
