import { describe, expect, it } from 'vitest';
import { decideFlip } from '../../../../lib/data/augment/flip.ts';
import { resolveAugmentation } from '../../../../lib/data/augment/options.ts';
import { type PlannedLayer, type PlannedSample, planSample } from '../../../../lib/data/augment/plan.ts';
import { truth } from '../../../support/augmentation.ts';

const size = { width: 192, height: 160 };
const options = (augmentation: object, flipProbability = 0.5) => ({
  augmentation: resolveAugmentation('augmentation', augmentation)!,
  flipProbability,
  size,
});
const everything = {
  photometricDistort: {},
  zoomOut: {},
  scaleJitter: { p: 0.5 },
  iouCrop: {},
  mosaic: { p: 0.3 },
  mixup: { p: 0.3 },
};
const at = (sample: number, epoch = 0, seed = 1) => ({ seed, epoch, sample });

const images: PlannedSample[] = [
  { width: 96, height: 80, objects: [{ ...truth(24, 20, 48, 40), difficult: true }] },
  { width: 400, height: 100, objects: [] },
  { width: 50, height: 500, objects: [truth(0, 0, 50, 500), truth(49, 499, 50, 500)] },
];

describe('planSample', () => {
  it('without transforms is the image resized, boxes and all', () => {
    expect(planSample(images, at(0), options({}, 0))).toEqual([
      {
        sample: 0,
        window: { x: 0, y: 0, width: 96, height: 80 },
        area: { x: 0, y: 0, ...size },
        flip: false,
        weight: 1,
        objects: [{ ...truth(48, 40, 96, 80), difficult: true }],
      },
    ]);
  });

  it('flips boxes with the image, as often and when the plain loader does', () => {
    const [flipped] = planSample(images, at(0), options({}, 1));
    expect(flipped).toMatchObject({ flip: true, objects: [truth(96, 40, 144, 80)].map(({ box }) => ({ box })) });
    for (let sample = 0; sample < 3; sample++) {
      for (let epoch = 0; epoch < 20; epoch++) {
        const [layer] = planSample(images, at(sample, epoch), options(everything));
        expect(layer!.flip).toBe(decideFlip(1, epoch, sample, 0.5));
      }
    }
  });

  it('drops objects of less than a pixel', () => {
    const [layer] = planSample(images, at(2), options({}, 0));
    expect(layer!.objects).toEqual([truth(0, 0, 192, 160)]); // the other one is .32 pixels high
  });

  it('depends on seed, epoch and sample, and on nothing else', () => {
    const many = Array.from({ length: 40 }, (_, i) => images[i % 3]!);
    const plan = (sample: number, epoch = 0, seed = 1) =>
      planSample(many, at(sample, epoch, seed), options(everything));
    const forth = many.map((_, sample) => plan(sample));
    const back = many.map((_, i) => plan(39 - i)).reverse();
    expect(back).toEqual(forth);
    const different = (others: PlannedLayer[][]) =>
      others.filter((other, i) => JSON.stringify(other) !== JSON.stringify(forth[i])).length;
    expect(different(many.map((_, sample) => plan(sample, 1)))).toBeGreaterThan(35);
    expect(different(many.map((_, sample) => plan(sample, 0, 2)))).toBeGreaterThan(35);
    expect(new Set(forth.map((layers) => JSON.stringify(layers))).size).toBe(40);
  });

  it('a transform leaves what the others draw as it is', () => {
    const [alone] = planSample(images, at(0, 3), options({ photometricDistort: {} }));
    const [both] = planSample(images, at(0, 3), options({ photometricDistort: {}, zoomOut: { p: 1 } }));
    expect(both!.photometric).toEqual(alone!.photometric);
    expect(both!.window).not.toEqual(alone!.window);
  });

  it('makes a mosaic of the sample and three others, each with transforms of its own', () => {
    const many = Array.from({ length: 50 }, () => images[0]!);
    const layers = planSample(many, at(7), options({ mosaic: { p: 1 }, photometricDistort: { p: 1 } }));
    expect(layers.map(({ weight }) => weight)).toEqual([1, 1, 1, 1]);
    expect(layers[0]!.sample).toBe(7);
    expect(new Set(layers.map(({ sample }) => sample)).size).toBe(4);
    expect(new Set(layers.map(({ photometric }) => photometric!.hue)).size).toBe(4);
    const covered = layers.reduce((sum, { area }) => sum + area.width * area.height, 0);
    expect(covered).toBe(size.width * size.height);
    for (const { window, area } of layers) {
      const stretch = (window.width / area.width) * (area.height / window.height);
      expect(stretch).toBeCloseTo((96 / 192) * (160 / 80), 9);
    }
  });

  it('lays another image over the sample, or over its mosaic', () => {
    const mixed = planSample(images, at(0), options({ mixup: { p: 1, weightRange: [0.3, 0.3] } }));
    expect(mixed.map(({ weight }) => weight)).toEqual([1, 0.3]);
    const both = planSample(images, at(0), options({ mosaic: { p: 1 }, mixup: { p: 1, weightRange: [0.3, 0.3] } }));
    expect(both.map(({ weight }) => weight)).toEqual([1, 1, 1, 1, 0.3]);
    expect(both[4]!.area).toEqual({ x: 0, y: 0, ...size });
  });

  it('draws partners from the whole data set, evenly', () => {
    const many = Array.from({ length: 5 }, () => images[1]!);
    const counts = new Array(5).fill(0);
    for (let epoch = 0; epoch < 4000; epoch++) {
      for (const { sample } of planSample(many, at(0, epoch), options({ mosaic: { p: 1 } })).slice(1)) counts[sample]++;
    }
    for (const count of counts) expect(Math.abs(count / 12_000 - 0.2)).toBeLessThan(0.02);
  });

  it('a crop may lose every object', () => {
    const corner = [{ width: 100, height: 100, objects: [truth(0, 0, 40, 40)] }];
    const counts = Array.from({ length: 50 }, (_, epoch) => {
      const [layer] = planSample(corner, at(0, epoch), options({ scaleJitter: { scaleRange: [1.8, 2] } }));
      return layer!.objects.length;
    });
    expect(counts).toContain(0);
    expect(counts).toContain(1);
  });
});

/** Numbers that follow from a seed: Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Any image from a pixel to 5,000 a side, with objects of any size on it, some on its border, some as small as can be. */
function randomImage(draw: () => number): PlannedSample {
  const side = () => Math.max(1, Math.floor(5000 ** draw()));
  const [width, height] = [side(), side()];
  const span = (extent: number): [number, number] => {
    const length = Math.max(0.01, extent * (draw() < 0.1 ? 1 : draw() ** 4));
    const from = (extent - length) * (draw() < 0.2 ? 0 : draw());
    return [from, Math.min(extent, from + length)];
  };
  const objects = Array.from({ length: Math.floor(5 * draw()) }, () => {
    const [[xmin, xmax], [ymin, ymax]] = [span(width), span(height)];
    return truth(xmin, ymin, xmax, ymax);
  });
  return { width, height, objects };
}

it('no box is empty, inverted, outside of its area or of less than a pixel, in 100,000 random cases', () => {
  const draw = generator(12345);
  let boxes = 0;
  let negatives = 0;
  const check = ({ area, window, objects }: PlannedLayer) => {
    const shown = window.width > 0 && window.height > 0 && Number.isFinite(window.x + window.y);
    if (!shown) expect.fail(`window ${JSON.stringify(window)}`);
    for (const { box } of objects) {
      boxes++;
      // In the model's float32, too.
      const [xmin, ymin, xmax, ymax] = Float32Array.of(box.xmin, box.ymin, box.xmax, box.ymax) as unknown as number[];
      const inside =
        xmin! >= area.x && ymin! >= area.y && xmax! <= area.x + area.width && ymax! <= area.y + area.height;
      const large = box.xmax - box.xmin >= 1 && box.ymax - box.ymin >= 1 && xmax! > xmin! && ymax! > ymin!;
      if (!inside || !large) expect.fail(`${JSON.stringify(box)} in ${JSON.stringify(area)}`);
    }
  };
  let cases = 0;
  for (let round = 0; cases < 100_000; round++) {
    const samples = Array.from({ length: 4 }, () => randomImage(draw));
    const sized = { ...options(everything), size: { width: 64 + 32 * (round % 20), height: 64 + 32 * (round % 7) } };
    for (let sample = 0; sample < samples.length; sample++) {
      const layers = planSample(samples, at(sample, round), sized);
      for (const layer of layers) check(layer);
      cases++;
      if (layers.every(({ objects }) => objects.length === 0)) negatives++;
    }
  }
  expect(boxes).toBeGreaterThan(100_000);
  expect(negatives).toBeGreaterThan(1000);
});

describe('planSample with a letterbox', () => {
  const letterbox = (augmentation: object, flipProbability = 0.5) => ({
    ...options(augmentation, flipProbability),
    resize: 'letterbox' as const,
  });

  it('without transforms is the image in the upper left corner', () => {
    const [wide] = planSample(images, at(1), letterbox({}, 0));
    expect(wide).toMatchObject({ area: { x: 0, y: 0, width: 192, height: 48 } });
    const [high] = planSample(images, at(2), letterbox({}, 1));
    expect(high).toMatchObject({ area: { x: 0, y: 0, width: 16, height: 160 }, flip: true });
    expect(high!.objects).toEqual([truth(0, 0, 16, 160)]);
  });

  it('keeps the proportions of every image, and objects inside of what it fills', () => {
    const { iouCrop: _, ...undistorted } = everything;
    for (let epoch = 0; epoch < 60; epoch++) {
      for (const { window, area, objects } of planSample(images, at(epoch % 3, epoch), letterbox(undistorted))) {
        const [sx, sy] = [area.width / window.width, area.height / window.height];
        // Sides are whole pixels: of a narrow area half a pixel is much.
        expect(Math.abs(sx * window.width - sy * window.width)).toBeLessThanOrEqual(1 + 0.01 * area.width);
        expect(area.x + area.width).toBeLessThanOrEqual(size.width);
        expect(area.y + area.height).toBeLessThanOrEqual(size.height);
        for (const { box } of objects) {
          expect(box.xmin).toBeGreaterThanOrEqual(area.x);
          expect(box.ymax).toBeLessThanOrEqual(area.y + area.height);
        }
      }
    }
  });
});
