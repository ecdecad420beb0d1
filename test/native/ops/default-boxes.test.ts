import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, rowsOf } from '../support.ts';

const addon = await loadTestAddon();
const reference = await golden('ssd_golden.json');
const aspectRatios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]];

function sha256(data: Float32Array): string {
  return createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex');
}

describe('default boxes', () => {
  it('are those of the article, bit for bit: one map of 20x20 at 640x640', () => {
    const { scales, n, first16, last4, sha256_f32le } = reference.article_anchors;
    const options = { aspectRatios, scales, steps: [], clip: true };
    const boxes = addon.defaultBoxes(options, [{ width: 20, height: 20 }], { width: 640, height: 640 });
    expect(boxes.shape).toEqual([n, 4]);
    expect(rowsOf(boxes).slice(0, 16)).toEqual(first16);
    expect(rowsOf(boxes).slice(-4)).toEqual(last4);
    expect(sha256(boxes.data)).toBe(sha256_f32le);
  });

  it("are those of torchvision's SSD300, bit for bit: six maps with steps", () => {
    const { n, first8, last8, sha256_f32le } = reference.ssd300_anchors;
    const options = {
      aspectRatios,
      scales: [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
      steps: [8, 16, 32, 64, 100, 300],
      clip: true,
    };
    const grids = [38, 19, 10, 5, 3, 1].map((side) => ({ width: side, height: side }));
    const boxes = addon.defaultBoxes(options, grids, { width: 300, height: 300 });
    expect(boxes.shape).toEqual([n, 4]);
    expect(rowsOf(boxes).slice(0, 8)).toEqual(first8);
    expect(rowsOf(boxes).slice(-8)).toEqual(last8);
    expect(sha256(boxes.data)).toBe(sha256_f32le);
  });

  it('equal the two maps of the tiny SSD', () => {
    const { anchors, scales } = reference.tiny_ssd;
    const options = { aspectRatios: [[2], [2, 3]], scales, steps: [], clip: true };
    const grids = [
      { width: 4, height: 4 },
      { width: 2, height: 2 },
    ];
    const boxes = addon.defaultBoxes(options, grids, { width: 64, height: 64 });
    expect(rowsOf(boxes)).toEqual(anchors);
  });

  it('run along rows, the shapes of a cell innermost: square, larger square, wide, tall', () => {
    const options = { aspectRatios: [[4]], scales: [0.25, 1], steps: [], clip: true };
    const boxes = addon.defaultBoxes(options, [{ width: 2, height: 1 }], { width: 80, height: 40 });
    expectClose(
      boxes.data,
      [
        ...[10, 15, 30, 25],
        ...[0, 10, 40, 30],
        ...[0, 17.5, 40, 22.5],
        ...[15, 10, 25, 30],
        ...[50, 15, 70, 25],
        ...[40, 10, 80, 30],
        ...[40, 17.5, 80, 22.5],
        ...[55, 10, 65, 30],
      ],
      1e-6,
    );
  });

  it('overhang the image, and clip bounds their sides alone', () => {
    const boxes = (clip: boolean) =>
      rowsOf(
        addon.defaultBoxes({ aspectRatios: [[4]], scales: [1, 1], steps: [], clip }, [{ width: 1, height: 1 }], {
          width: 10,
          height: 10,
        }),
      );
    expect(boxes(true)[2]).toEqual([0, 2.5, 10, 7.5]);
    expect(boxes(false)[2]).toEqual([-5, 2.5, 15, 7.5]);
  });

  it('are centred by steps where these are given', () => {
    const options = { aspectRatios: [[]], scales: [0.1, 0.1], steps: [16], clip: true };
    const [first, second] = rowsOf(addon.defaultBoxes(options, [{ width: 3, height: 1 }], { width: 40, height: 40 }))
      .filter((_, row) => row % 2 === 0)
      .map(([xmin, ymin, xmax, ymax]) => [(xmin! + xmax!) / 2, (ymin! + ymax!) / 2]);
    expectClose([...first!, ...second!], [8, 8, 24, 8], 1e-6);
  });
});
