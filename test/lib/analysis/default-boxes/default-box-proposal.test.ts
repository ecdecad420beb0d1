import { describe, expect, it } from 'vitest';
import { measureCoverage } from '../../../../lib/analysis/default-boxes/coverage.ts';
import { type DefaultBoxLayout, defaultBoxShapes } from '../../../../lib/analysis/default-boxes/default-box-grid.ts';
import { proposeDefaultBoxes } from '../../../../lib/analysis/default-boxes/default-box-proposal.ts';
import { shapeIou } from '../../../../lib/analysis/default-boxes/k-means.ts';
import { presetConfig } from '../../../../lib/model/config.ts';
import type { DefaultBoxOptions } from '../../../../lib/model/default-box-options.ts';
import { checkDefaultBoxes } from '../../../../lib/model/default-box-options.ts';
import { finish, randomBox, vocLikeImages } from '../../../support/images.ts';

const imageSize = { width: 640, height: 640 };
const configured = presetConfig('article', 'convnext_tiny', imageSize).defaultBoxes as DefaultBoxOptions;
const onStrides = (...strides: number[]): DefaultBoxLayout => ({
  imageSize,
  maps: strides.map((stride) => ({ width: Math.ceil(640 / stride), height: Math.ceil(640 / stride) })),
});
const classes = ['object'];
const shareOf = (images: ReturnType<typeof vocLikeImages>, boxes: DefaultBoxOptions, layout: DefaultBoxLayout) =>
  finish(measureCoverage(images, classes, boxes, layout)).all.share!;

describe('proposeDefaultBoxes', () => {
  it.each([[[32]], [[16, 32]], [[8, 16, 32, 64, 128]]])(
    'reaches more objects as VOC has them, on strides %j',
    (strides) => {
      const layout = onStrides(...strides);
      const images = vocLikeImages(150);
      const proposed = finish(proposeDefaultBoxes(images.flat(), configured, layout));
      expect(checkDefaultBoxes('proposed', proposed)).toEqual(proposed);
      expect(proposed.aspectRatios).toHaveLength(strides.length);
      expect(proposed.scales).toEqual(proposed.scales.toSorted((a, b) => a - b));
      const before = shareOf(images, configured, layout);
      const after = shareOf(images, proposed, layout);
      expect(after).toBeGreaterThan(before + 0.05);
      // No more default boxes than before.
      for (const [k, ratios] of proposed.aspectRatios.entries()) {
        expect(ratios.length).toBeLessThanOrEqual(configured.aspectRatios[k]!.length);
      }
      // Images that it has not seen.
      const others = vocLikeImages(150, 2);
      expect(shareOf(others, proposed, layout)).toBeGreaterThan(shareOf(others, configured, layout) + 0.05);
      expect(finish(proposeDefaultBoxes(images.flat(), configured, layout))).toEqual(proposed);
    },
  );

  it('is never worse than the configured default boxes, on any objects', () => {
    for (let seed = 0; seed < 12; seed++) {
      const [min, max] = [
        [0.001, 0.01],
        [0.02, 0.3],
        [0.5, 1],
        [0.1, 0.2],
      ][seed % 4]! as [number, number];
      const images = [Array.from({ length: 1 + 3 * seed }, (_, i) => ({ ...randomBox(seed, i, min, max), label: 1 }))];
      const layout = seed % 2 ? onStrides(32) : onStrides(16, 64, 640);
      const proposed = finish(proposeDefaultBoxes(images.flat(), configured, layout));
      expect(checkDefaultBoxes('proposed', proposed)).toEqual(proposed);
      expect(shareOf(images, proposed, layout)).toBeGreaterThanOrEqual(shareOf(images, configured, layout));
    }
  });

  it('has a shape for each of a few sizes and ratios', () => {
    const kinds = [
      { width: 0.09, height: 0.04 },
      { width: 0.04, height: 0.09 },
      { width: 0.5, height: 0.5 },
    ];
    const objects = kinds.flatMap((kind, k) =>
      Array.from({ length: 30 }, (_, i) => ({ ...randomBox(k, i, 0.1, 0.5), ...kind })),
    );
    const proposed = finish(proposeDefaultBoxes(objects, configured, onStrides(8, 64)));
    const shapes = [0, 1].flatMap((map) => defaultBoxShapes(proposed, map));
    for (const kind of kinds) expect(Math.max(...shapes.map((shape) => shapeIou(shape, kind)))).toBeGreaterThan(0.8);
  });

  it('gives as many ratios as it is asked for at most', () => {
    const objects = vocLikeImages(60).flat();
    const count = (ratios: number) =>
      finish(
        proposeDefaultBoxes(objects, { ...configured, scales: configured.scales.map(() => 0.01) }, onStrides(32), {
          ratios,
        }),
      ).aspectRatios[0]!.length;
    expect([count(0), count(1), count(3)]).toEqual([0, 1, 3]);
  });

  it('keeps the configured default boxes where there are no objects', () => {
    expect(finish(proposeDefaultBoxes([], configured, onStrides(32)))).toBe(configured);
  });
});
