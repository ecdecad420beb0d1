import { expect, it } from 'vitest';
import { clipBox, crop, hasCentreOf, wholeView, within } from '../../../../lib/data/augment/view.ts';
import { truth } from '../../../support/augmentation.ts';

it('wholeView shows all of an image', () => {
  const objects = [truth(1, 2, 3, 4)];
  expect(wholeView({ width: 50, height: 40, objects })).toEqual({
    window: { x: 0, y: 0, width: 50, height: 40 },
    objects,
  });
});

it('crop keeps the objects whose centre lies inside, clipped, difficult ones too', () => {
  const difficult = { ...truth(5, 5, 25, 19), difficult: true };
  const outside = [truth(0, 0, 19, 20), truth(0, 0, 20, 20), truth(29, 9, 32, 12)];
  const window = { x: 10, y: 10, width: 20, height: 10 };
  const { objects, ...view } = crop(wholeView({ width: 50, height: 40, objects: [...outside, difficult] }), window);
  expect(view).toEqual({ window });
  expect(objects).toEqual([{ ...difficult, box: { xmin: 10, ymin: 10, xmax: 25, ymax: 19 } }]);
});

it('a centre on the border is outside', () => {
  const window = { x: 10, y: 10, width: 10, height: 10 };
  const centre = (x: number, y: number) => hasCentreOf(window, { xmin: x - 3, ymin: y - 3, xmax: x + 3, ymax: y + 3 });
  expect([centre(15, 15), centre(10.01, 19.99)]).toEqual([true, true]);
  expect([centre(10, 15), centre(20, 15), centre(15, 10), centre(15, 20), centre(0, 15)]).toEqual(Array(5).fill(false));
});

it('clipBox cuts each side', () => {
  const window = { x: 0, y: 5, width: 10, height: 5 };
  expect(clipBox({ xmin: -1, ymin: 0, xmax: 11, ymax: 20 }, window)).toEqual({ xmin: 0, ymin: 5, xmax: 10, ymax: 10 });
  expect(clipBox({ xmin: 1, ymin: 6, xmax: 2, ymax: 7 }, window)).toEqual({ xmin: 1, ymin: 6, xmax: 2, ymax: 7 });
});

it('within goes from one end to the other', () => {
  expect([0, 0.25, 1].map((drawn) => within([2, 6], drawn))).toEqual([2, 3, 6]);
});
