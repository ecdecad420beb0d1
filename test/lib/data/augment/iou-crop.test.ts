import { describe, expect, it } from 'vitest';
import { PURPOSE, stream } from '../../../../lib/base/random.ts';
import { type IouCrop, iouCrop } from '../../../../lib/data/augment/iou-crop.ts';
import { type View, wholeView } from '../../../../lib/data/augment/view.ts';
import { draws, expectMoments, type Moments, truth } from '../../../support/augmentation.ts';
import { golden } from '../../../support/shared.ts';

const options: IouCrop = {
  minScale: 0.3,
  maxScale: 1,
  minAspectRatio: 0.5,
  maxAspectRatio: 2,
  samplerOptions: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1],
  trials: 40,
};
const streamOf = (sample: number) => stream({ seed: 1, epoch: 0, sample, part: 0 }, PURPOSE.iouCrop);

describe('iouCrop by hand', () => {
  const view = wholeView({ width: 100, height: 100, objects: [truth(10, 10, 50, 50), truth(60, 60, 90, 90)] });
  // Half of each side, at 20 of 50: the first object's centre (30, 30) is in it, 30 x 30 of 1,600 + 2,500 - 900.
  const half = [2 / 7, 2 / 7, 0.4, 0.4];
  const cropped = { window: { x: 20, y: 20, width: 50, height: 50 }, objects: [truth(20, 20, 50, 50)] };

  it('takes a crop with the IoU that is asked for', () => {
    expect(iouCrop(view, options, draws(1 / 7, ...half))).toEqual(cropped); // IoU .28, asked for .1
  });

  it('tries again below it', () => {
    const all = [1, 1, 0, 0];
    // .3 is not met by half, but by the whole: 1,600 of 10,000 is not enough either; 40 x 40 at 10, 10 fits.
    expect(iouCrop(view, options, draws(2.1 / 7, ...half, ...all, 1 / 7, 1 / 7, 1 / 6, 1 / 6))).toEqual({
      window: { x: 10, y: 10, width: 40, height: 40 },
      objects: [truth(10, 10, 50, 50)],
    });
  });

  it('draws no place for a crop that is too slender, and takes none without a centre in it', () => {
    const slender = [0, 0.6];
    const empty = [0, 0, 0.8, 0.1];
    expect(iouCrop(view, options, draws(0, ...slender, ...empty, ...half))).toEqual(cropped);
  });

  it('draws another option after its trials, and leaves the image alone for 1', () => {
    const empty = [0, 0, 0.8, 0.1];
    expect(iouCrop(view, { ...options, trials: 2 }, draws(0, ...empty, ...empty, 0.99))).toBe(view);
  });
});

describe('iouCrop', () => {
  it('leaves an image without objects alone, and one that allows no crop', () => {
    const none = wholeView({ width: 100, height: 100, objects: [] });
    expect(iouCrop(none, options, draws())).toBe(none);
    const pixel = wholeView({ width: 1, height: 1, objects: [truth(0, 0, 1, 1)] });
    expect(iouCrop(pixel, { ...options, samplerOptions: [0], maxScale: 0.5 }, streamOf(1))).toBe(pixel);
  });

  it('ends where no crop can fit, soon also for very many objects', () => {
    const objects = Array.from({ length: 50_000 }, (_, i) => truth(i % 200, 0, (i % 200) + 0.5, 0.5));
    const view = wholeView({ width: 200, height: 200, objects });
    let comparisons = 0;
    for (const { box } of objects) {
      const { xmin } = box;
      const get = () => {
        comparisons++;
        return xmin;
      };
      Object.defineProperty(box, 'xmin', { get });
    }
    expect(iouCrop(view, { ...options, samplerOptions: [0.9] }, streamOf(1))).toBe(view);
    expect(comparisons).toBeLessThan(2e7);
  });

  it('keeps to its scales, its shapes and its image', () => {
    const view: View = {
      window: { x: -50, y: 10, width: 300, height: 200 },
      objects: [truth(0, 20, 100, 120), truth(120, 100, 220, 190)],
    };
    for (let sample = 0; sample < 2000; sample++) {
      const { x, y, width, height } = iouCrop(view, options, streamOf(sample)).window;
      expect([width / 300 >= 0.29, height / 200 >= 0.29, width / height >= 0.5, width / height <= 2]).toEqual(
        Array(4).fill(true),
      );
      expect([x >= -50, y >= 10, x + width <= 250, y + height <= 210]).toEqual(Array(4).fill(true));
    }
  });

  it.each(['three', 'small'])("is distributed as torchvision's: %s", async (name) => {
    const { width, height, boxes, iouCrop: expected } = await golden('augmentation.json');
    const objects = (boxes as [number, number, number, number][]).map((box) => truth(...box));
    const view = wholeView({ width, height, objects: name === 'three' ? objects : objects.slice(2) });
    const rows = Array.from({ length: 20_000 }, (_, sample) => {
      const cropped = iouCrop(view, options, streamOf(sample));
      const { window } = cropped;
      const relative = [window.x / width, window.y / height, window.width / width, window.height / height];
      return [...relative, cropped.objects.length, cropped === view ? 1 : 0];
    });
    expectMoments(rows, expected[name] as Moments);
  });
});
