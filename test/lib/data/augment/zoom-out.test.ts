import { expect, it } from 'vitest';
import { PURPOSE, stream } from '../../../../lib/base/random.ts';
import { wholeView } from '../../../../lib/data/augment/view.ts';
import { zoomOut } from '../../../../lib/data/augment/zoom-out.ts';
import { draws, expectMoments, truth } from '../../../support/augmentation.ts';
import { golden } from '../../../support/shared.ts';

const options = { p: 0.5, sideRange: [1, 4] } as const;
const view = wholeView({ width: 101, height: 50, objects: [truth(1, 2, 30, 40)] });

it('by hand: a canvas of 2.5 times the sides, the image at .5 and .25 of the room', () => {
  // Canvas 252 x 125, room 151 x 75.
  expect(zoomOut(view, options, draws(0.49, 0.5, 0.5, 0.25))).toEqual({
    window: { x: -75, y: -18, width: 252, height: 125 },
    objects: view.objects,
  });
});

it('leaves the image alone by its probability', () => {
  expect(zoomOut(view, options, draws(0.5))).toBe(view);
});

it('grows a window that does not begin at the corner', () => {
  const moved = { ...view, window: { x: 10, y: -10, width: 20, height: 30 } };
  const zoomed = zoomOut(moved, { p: 1, sideRange: [2, 2] }, draws(0, 0, 0.5, 0));
  expect(zoomed.window).toEqual({ x: 0, y: -10, width: 40, height: 60 });
});

it("is distributed as torchvision's, and applied to half of the images", async () => {
  const { width, height, zoomOut: expected } = await golden('augmentation.json');
  const whole = wholeView({ width, height, objects: [] });
  const views = Array.from({ length: 40_000 }, (_, sample) =>
    zoomOut(whole, options, stream({ seed: 1, epoch: 0, sample, part: 0 }, PURPOSE.zoomOut)),
  );
  const applied = views.filter((each) => each !== whole);
  expect(applied.length / views.length).toBeCloseTo(0.5, 1);
  expectMoments(
    applied.map(({ window }) => [window.x / width, window.y / height, window.width / width, window.height / height]),
    expected,
  );
});
