import { describe, expect, it } from 'vitest';
import { proposeAnchors } from '../../../../lib/analysis/default-boxes/anchor-proposal.ts';
import { measureCoverage } from '../../../../lib/analysis/default-boxes/coverage.ts';
import type { AnchorOptions } from '../../../../lib/model/default-box-options.ts';
import { checkOrderedBoxes } from '../../../../lib/model/default-box-options.ts';
import { retinaNetAnchors } from '../../../../lib/model/detection-head.ts';
import { retinaNetMaps } from '../../../../lib/model/feature-pyramid.ts';
import { finish, randomBox, vocLikeImages } from '../../../support/images.ts';

const imageSize = { width: 256, height: 192 };
const layout = { imageSize, maps: retinaNetMaps(imageSize) };
const configured = retinaNetAnchors();

const covered = (images: ReturnType<typeof vocLikeImages>, options: AnchorOptions) =>
  finish(measureCoverage(images, ['a'], options, layout)).all.covered;

describe('proposeAnchors', () => {
  it("reaches more objects than torchvision's, whose smallest has 32 pixels, in small images", () => {
    const small = Array.from({ length: 200 }, (_, i) => [{ ...randomBox(3, i, 0.04, 0.12), label: 1 }]);
    const proposed = finish(proposeAnchors(small.flat(), configured, layout));
    expect(checkOrderedBoxes('proposed', proposed)).toEqual(proposed);
    expect(proposed.sizes.map(({ length }) => length)).toEqual([3, 3, 3, 3, 3]);
    expect(covered(small, proposed)).toBeGreaterThan(1.5 * covered(small, configured));
    expect(finish(proposeAnchors(small.flat(), configured, layout))).toEqual(proposed);
  });

  it('is never worse than the configured anchors, which stand where there is nothing to fit', () => {
    for (const seed of [1, 2, 3]) {
      const images = vocLikeImages(60, seed);
      const proposed = finish(proposeAnchors(images.flat(), configured, layout));
      expect(covered(images, proposed)).toBeGreaterThanOrEqual(covered(images, configured));
    }
    expect(finish(proposeAnchors([], configured, layout))).toBe(configured);
  });

  it('has as many ratios as asked for', () => {
    const tall = Array.from({ length: 50 }, (_, i) => ({ ...randomBox(5, i, 0.1, 0.3), width: 0.05 }));
    const { aspectRatios } = finish(proposeAnchors(tall, configured, layout, { ratios: 2 }));
    expect(aspectRatios.length).toBeLessThanOrEqual(3);
    const one = finish(proposeAnchors([tall[0]!], configured, layout, { ratios: 1 }));
    expect(one.sizes.flat().every((size) => size > 0)).toBe(true);
  });
});
