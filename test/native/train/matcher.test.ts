import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { indices, loadTestAddon, matrix, padTargets, tensor, uniform } from '../support.ts';

const addon = await loadTestAddon();
const reference = await golden('ssd_golden.json');
const retinaNet = await golden('native/retinanet.json');

/** IoU [objects][anchors] of one image -> its matches. */
function match(iou: number[][]): number[] {
  const quality = tensor(iou.flat(), [1, iou.length, iou[0]!.length]);
  return [...addon.ssdMatch(quality, indices([iou.length], [1])).data];
}

/** The rule as it is told, one box after another. */
function bruteForce(iou: number[][]): number[] {
  const columns = iou[0]!.map((_, anchor) => iou.map((row) => row[anchor]!));
  const matches = columns.map((column) => {
    const best = Math.max(...column);
    return best >= 0.5 ? column.indexOf(best) : -1;
  });
  iou.forEach((row, object) => {
    matches[row.indexOf(Math.max(...row))] = object;
  });
  return matches;
}

describe('ssd_match', () => {
  it('equals the reference', () => {
    const { iou, matches } = reference.ssd_matcher;
    expect(match(iou)).toEqual(matches);
  });

  it('equals the tiny SSD of the reference, both images at once', () => {
    const { anchors, targets, matched_idxs } = reference.tiny_ssd;
    const { boxes, counts } = padTargets(targets);
    const matches = addon.ssdMatch(addon.boxIou(boxes, matrix(anchors)), counts);
    expect(matches.shape).toEqual([2, anchors.length]);
    expect([...matches.data]).toEqual(matched_idxs.flat());
  });

  it('takes the object of largest IoU from .5 on, and forces each object its best default box', () => {
    expect(
      match([
        [0.5, 0.49, 0.9, 0.0],
        [0.6, 0.4, 0.3, 0.1],
        [0.0, 0.1, 0.0, 0.2],
      ]),
    ).toEqual([1, -1, 0, 2]);
  });

  it('forces a default box on an object that none overlaps', () => {
    expect(match([[0, 0, 0]])).toEqual([0, -1, -1]);
  });

  it('lets the later of two objects have the default box that is best for both', () => {
    expect(
      match([
        [0.9, 0.2],
        [0.6, 0.1],
      ]),
    ).toEqual([1, -1]);
  });

  it('looks at no padding, whatever is in it', () => {
    const iou = tensor([0.7, 0.1, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99], [2, 2, 2]);
    expect([...addon.ssdMatch(iou, indices([1, 0], [2])).data]).toEqual([0, -1, -1, -1]);
  });

  it('matches nothing in a batch without objects', () => {
    const matches = addon.ssdMatch(tensor([], [2, 0, 3]), indices([0, 0], [2]));
    expect(matches).toEqual({ data: Int32Array.from({ length: 6 }, () => -1), shape: [2, 3] });
  });

  it('is the rule, on random IoUs, and matches every object whose box no later one took', () => {
    const [images, objects, anchors] = [40, 6, 25];
    const values = uniform('iou', images * objects * anchors).map((value) => Math.round((value + 0.5) * 100) / 100);
    const matches = addon.ssdMatch(
      tensor(values, [images, objects, anchors]),
      indices(new Int32Array(images).fill(objects), [images]),
    );
    for (let image = 0; image < images; image++) {
      const iou = Array.from({ length: objects }, (_, object) => {
        const start = (image * objects + object) * anchors;
        return [...Float32Array.from(values.subarray(start, start + anchors))];
      });
      const actual = [...matches.data.subarray(image * anchors, (image + 1) * anchors)];
      expect(actual).toEqual(bruteForce(iou));
      iou.forEach((row, object) => {
        expect(actual[row.indexOf(Math.max(...row))]).toBeGreaterThanOrEqual(object);
      });
    }
  });
});

/** IoU [objects][anchors] of one image -> its matches; -1 background, -2 ignored. */
function retinaNetMatch(iou: number[][]): number[] {
  const quality = tensor(iou.flat(), [1, iou.length, iou[0]!.length]);
  return [...addon.retinaNetMatch(quality, indices([iou.length], [1])).data];
}

describe('retinanet_match', () => {
  it('equals the reference', () => {
    const { iou, 'retina_0.5_0.4_lowq': matches } = reference.ssd_matcher;
    expect(retinaNetMatch(iou)).toEqual(matches);
  });

  it("equals torchvision's on anchors, of which some are equally good, all images at once", () => {
    const [{ sizes, aspectRatios, grids, image }] = retinaNet.anchors;
    const anchors = addon.anchors({ sizes, aspectRatios }, grids, image);
    const cases: { boxes: number[][]; matches: number[] }[] = retinaNet.matches;
    const { boxes, counts } = padTargets(cases.map((each) => ({ ...each, labels: each.boxes.map(() => 1) })));
    const matches = addon.retinaNetMatch(addon.boxIou(boxes, anchors), counts);
    expect([...matches.data]).toEqual(cases.flatMap((each) => each.matches));
    expect(new Set(cases.flatMap((each) => each.matches)).size).toBe(2 + 6);
  });

  it('takes IoU of .5, ignores from .4 on, and takes every best default box of an object for its own best object', () => {
    expect(
      retinaNetMatch([
        [0.5, 0.49, 0.4, 0.39, 0.1, 0.3],
        [0.0, 0.1, 0.0, 0.3, 0.3, 0.2],
      ]),
    ).toEqual([0, -2, -2, 0, 1, -1]);
  });

  it('gives an object that no default box touches none', () => {
    expect(
      retinaNetMatch([
        [0, 0, 0],
        [0, 0.6, 0],
      ]),
    ).toEqual([-1, 1, -1]);
  });

  it('looks at no padding, and matches nothing in a batch without objects', () => {
    const iou = tensor([0.7, 0.1, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99], [2, 2, 2]);
    expect([...addon.retinaNetMatch(iou, indices([1, 0], [2])).data]).toEqual([0, -1, -1, -1]);
    expect([...addon.retinaNetMatch(tensor([], [1, 0, 3]), indices([0], [1])).data]).toEqual([-1, -1, -1]);
  });
});
