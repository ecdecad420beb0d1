import { expect, it } from 'vitest';
import { analysedObjects, measureCoverage } from '../../../../lib/analysis/default-boxes/coverage.ts';
import type { Sample } from '../../../../lib/data/dataset.ts';
import { finish } from '../../../support/images.ts';

const classes = ['cat', 'dog', 'eel'];
const options = { aspectRatios: [[]], scales: [0.5, 0.5], steps: [], clip: true };
const layout = { imageSize: { width: 64, height: 64 }, maps: [{ width: 2, height: 2 }] };

const object = (labelIndex: number, xmin: number, ymin: number, xmax: number, ymax: number) => ({
  label: classes[labelIndex]!,
  labelIndex,
  difficult: false,
  box: { xmin, ymin, xmax, ymax },
});
const sample = (objects: Sample['objects']): Sample => ({
  id: 'a',
  imagePath: 'a.png',
  width: 200,
  height: 100,
  objects,
});

it('counts in which objects a point lies, not on a side, and which get the nearest', () => {
  const side = 8; // pixels from point to point
  const image = { ...sample([]), width: 64, height: 64 };
  const samples = [
    { ...image, objects: [object(1, 7, 7, 9, 9), object(1, 8, 8, 15, 15), object(2, 1, 1, 7, 7)] },
    { ...image, objects: [object(2, 57, 57, 64, 64), object(2, 0, 0, 64, 64)] },
  ];
  const points = { imageSize: { width: 64, height: 64 }, maps: [{ width: 8, height: 8 }] };
  const images = finish(analysedObjects(samples));
  const { boxes, meanIou, all, byClass } = finish(measureCoverage(images, classes, { strides: [side] }, points));
  expect([boxes, meanIou]).toEqual([64, null]);
  expect(all).toMatchObject({ objects: 5, covered: 2, forced: 3, unmatched: 0, share: 0.4 });
  expect(byClass.map(({ covered }) => covered)).toEqual([1, 1, 0]);
});

it('counts by class and size what two default boxes of a cell reach', () => {
  // Default boxes are the quarters of the image. The cat is one; the first dog overlaps one by half: a third; the other dog is tiny.
  const samples = [
    sample([object(1, 0, 0, 100, 50), object(2, 50, 0, 150, 50)]),
    sample([]),
    sample([object(2, 0, 0, 8, 4)]),
  ];
  const images = finish(analysedObjects(samples));
  expect(images[0]![1]).toEqual({ x: 0.5, y: 0.25, width: 0.5, height: 0.5, label: 2 });
  const { boxes, meanIou, all, byClass, byArea, bySide } = finish(measureCoverage(images, classes, options, layout));
  expect(boxes).toBe(8);
  expect(meanIou).toBeCloseTo((1 + 1 / 3 + (0.04 * 0.04) / 0.25) / 3, 12);
  expect(all).toMatchObject({ objects: 3, covered: 1, share: 1 / 3 });
  expect(byClass).toEqual([
    { name: 'cat', objects: 1, covered: 1, share: 1, forced: 0, unmatched: 0 },
    { name: 'dog', objects: 2, covered: 0, share: 0, forced: 2, unmatched: 0 },
    { name: 'eel', objects: 0, covered: 0, share: null, forced: 0, unmatched: 0 },
  ]);
  // 32 x 32 pixels for the model, and less.
  expect(byArea.map((row) => [row.name, row.objects])).toEqual([
    ['small', 3],
    ['medium', 0],
    ['large', 0],
  ]);
  expect(bySide.filter((row) => row.objects > 0).map((row) => [row.name, row.objects])).toEqual([
    ['side < 0.05', 1],
    ['side 0.4 - 0.8', 2],
  ]);
});

it("has COCO's bounds at the size that the model sees", () => {
  const images = finish(
    analysedObjects([sample([object(1, 0, 0, 100, 50), object(1, 0, 0, 101, 50), object(1, 0, 0, 200, 100)])]),
  );
  const large = { ...layout, imageSize: { width: 96, height: 97 } };
  const count = (imageSize: { width: number; height: number }) =>
    finish(measureCoverage(images, classes, options, { ...layout, imageSize })).byArea.map(({ objects }) => objects);
  expect(count(layout.imageSize)).toEqual([1, 2, 0]);
  expect(count(large.imageSize)).toEqual([0, 2, 1]);
});

it('is null without objects', () => {
  const { meanIou, all } = finish(measureCoverage([[]], classes, options, layout));
  expect(meanIou).toBeNull();
  expect(all).toEqual({ name: 'all', objects: 0, covered: 0, share: null, forced: 0, unmatched: 0 });
});
