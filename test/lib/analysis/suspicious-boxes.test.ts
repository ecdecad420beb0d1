import { expect, it } from 'vitest';
import { findSuspiciousBoxes } from '../../../lib/analysis/suspicious-boxes.ts';
import type { Sample } from '../../../lib/data/dataset.ts';
import { finish } from '../../support/images.ts';

/** What is found in an image of 1000 x 500 that the model sees at 100 x 100. */
function examine(...boxes: [number, number, number, number][]) {
  const objects: Sample['objects'] = boxes.map(([xmin, ymin, xmax, ymax], i) => ({
    label: i % 2 ? 'dog' : 'cat',
    labelIndex: 1 + (i % 2),
    difficult: false,
    box: { xmin, ymin, xmax, ymax },
  }));
  const sample = { id: 'a', imagePath: 'a.png', width: 1000, height: 500, objects };
  const found = finish(findSuspiciousBoxes([sample], { imageSize: { width: 100, height: 100 } }));
  return found.map(({ kind, image, label, message }) => [kind, image, label, message]);
}

it('lets ordinary boxes pass', () => {
  expect(examine([10, 10, 400, 300], [200, 100, 600, 490], [0, 0, 40, 20])).toEqual([]);
});

it('finds boxes that are tiny for the model', () => {
  // 39 of 1000 pixels are 3.9 of 100.
  expect(examine([0, 0, 39, 100])).toEqual([['tiny', 'a', 'cat', '3.9 x 20.0 pixels for the model']]);
  expect(examine([0, 0, 100, 19])).toEqual([['tiny', 'a', 'cat', '10.0 x 3.8 pixels for the model']]);
});

it('finds boxes that are the image', () => {
  expect(examine([0, 0, 1000, 475])).toEqual([['whole-image', 'a', 'cat', '95.0 % of the image']]);
  expect(examine([0, 0, 1000, 474])).toEqual([]);
});

it('finds boxes that are very long or high', () => {
  expect(examine([0, 0, 400, 50])).toEqual([['extreme-aspect', 'a', 'cat', '8.0 times as wide as high']]);
  expect(examine([0, 0, 50, 450])).toEqual([['extreme-aspect', 'a', 'cat', '9.0 times as high as wide']]);
  expect(examine([0, 0, 400, 51])).toEqual([]);
});

it('finds a box that is drawn twice, once for the pair', () => {
  const found = [['duplicate', 'a', 'dog', 'nearly the box of another object, cat']];
  expect(examine([100, 100, 300, 300], [100, 100, 300, 300])).toEqual(found);
  expect(examine([100, 100, 300, 300], [101, 100, 300, 301])).toEqual(found);
  expect(examine([100, 100, 300, 300], [100, 100, 300, 320])).toEqual([]);
});
