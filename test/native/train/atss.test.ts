import { describe, expect, it } from 'vitest';

import { indices, loadTestAddon, matrix, padTargets, rowsOf, tensor, uniform } from '../support.ts';

const addon = await loadTestAddon();

type Box = [number, number, number, number];

/** The object of each default box, for one image. */
function match(
  objects: number[][],
  defaultBoxes: number[][],
  grids = [{ cells: defaultBoxes.length, boxesPerCell: 1 }],
) {
  const { boxes, counts } = padTargets([{ boxes: objects, labels: objects.map(() => 1) }]);
  return [...addon.atssMatch(boxes, counts, matrix(defaultBoxes), grids).data];
}

function iou([ax, ay, aX, aY]: Box, [bx, by, bX, bY]: Box): number {
  const overlap = Math.max(0, Math.min(aX, bX) - Math.max(ax, bx)) * Math.max(0, Math.min(aY, bY) - Math.max(ay, by));
  return overlap / ((aX - ax) * (aY - ay) + (bX - bx) * (bY - by) - overlap);
}

const center = ([x, y, X, Y]: Box) => [(x + X) / 2, (y + Y) / 2] as const;

/** Algorithm 1 of the paper, word for word. */
function bruteForce(objects: Box[], defaultBoxes: Box[], grids: { cells: number; boxesPerCell: number }[]): number[] {
  const best = defaultBoxes.map(() => ({ iou: 0, object: -1 }));
  for (const [object, box] of objects.entries()) {
    const [x, y] = center(box);
    const candidates: number[] = [];
    let begin = 0;
    for (const { cells, boxesPerCell } of grids) {
      const distances = Array.from({ length: cells }, (_, cell) => {
        const first = begin + cell * boxesPerCell;
        const [cx, cy] = center(defaultBoxes[first]!);
        return { first, distance: Math.hypot(cx - x, cy - y) };
      });
      for (const { first } of distances.sort((a, b) => a.distance - b.distance).slice(0, 9)) {
        for (let i = 0; i < boxesPerCell; i++) candidates.push(first + i);
      }
      begin += cells * boxesPerCell;
    }
    const overlaps = candidates.map((i) => iou(box, defaultBoxes[i]!));
    const mean = overlaps.reduce((sum, value) => sum + value, 0) / overlaps.length;
    const variance = overlaps.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (overlaps.length - 1);
    for (const [k, i] of candidates.entries()) {
      const [cx, cy] = center(defaultBoxes[i]!);
      const inside = cx > box[0] && cy > box[1] && cx < box[2] && cy < box[3];
      const overlap = overlaps[k]!;
      if (inside && overlap >= mean + Math.sqrt(variance) && overlap > best[i]!.iou) best[i] = { iou: overlap, object };
    }
  }
  return best.map(({ object }) => object);
}

describe('atss_match', () => {
  const row = [
    [0, 0, 10, 10],
    [10, 0, 20, 10],
    [20, 0, 30, 10],
  ];

  it('takes what is at or above mean plus deviation of the IoUs', () => {
    expect(match([[2, 0, 12, 10]], row)).toEqual([0, -1, -1]); // IoU 2/3, 1/9, 0: threshold .616
    expect(match([[6, 0, 16, 10]], row)).toEqual([-1, -1, -1]); // IoU .25, .429, 0: threshold .442
  });

  it('takes only default boxes whose centre lies in the object', () => {
    expect(match([[0, 4, 10, 10]], row)).toEqual([0, -1, -1]);
    expect(match([[0, 6, 10, 10]], row)).toEqual([-1, -1, -1]); // IoU .4, 0, 0: threshold .364
  });

  it('gives a default box of two objects to that of the larger IoU, of equal ones to the later', () => {
    const [exact, near] = [
      [0, 0, 10, 10],
      [1, 0, 11, 10],
    ];
    expect(match([exact, near], row)).toEqual([0, -1, -1]);
    expect(match([near, exact], row)).toEqual([1, -1, -1]);
    expect(match([exact, exact], row)).toEqual([1, -1, -1]);
  });

  it('looks at the nine nearest cells of each map, all their boxes', () => {
    // Ten cells in a row, three boxes each: a square one and two that are ten times as high.
    const cells = Array.from({ length: 10 }, (_, i) => [10 * i, 100, 10 * i + 10, 110]);
    const boxes = cells.flatMap(([x, y, X, Y]) => [
      [x!, y!, X!, Y!],
      [x!, y! - 45, X!, Y! + 45],
      [x!, y! - 45, X!, Y! + 45],
    ]);
    const positives = (object: number[]) =>
      match([object], boxes, [{ cells: 10, boxesPerCell: 3 }]).flatMap((index, i) => (index === 0 ? [i] : []));
    expect(positives([0, 100, 10, 110])).toEqual([0]); // IoU 1, .1, .1, and 0 with the other cells'
    // Over all of the row IoU .102 with a square box and .053 with a high one; the tenth cell is too far from the middle.
    expect(positives([0, 100, 98, 110])).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24]);
  });

  it('is algorithm 1 of the paper, for random objects on two maps, whatever the padding holds', () => {
    const grids = [
      { width: 12, height: 10 },
      { width: 6, height: 5 },
    ];
    const options = { aspectRatios: [[], [2]], scales: [0.1, 0.25, 0.5], steps: [], clip: true };
    const defaultBoxes = addon.defaultBoxes(options, grids, { width: 120, height: 100 });
    const boxGrids = [
      { cells: 120, boxesPerCell: 2 },
      { cells: 30, boxesPerCell: 4 },
    ];
    const values = uniform('atss', 3 * 8 * 4).map((value) => value + 0.5);
    const objects = Array.from({ length: 24 }, (_, i) => {
      const [x, y, width, height] = values.slice(4 * i, 4 * i + 4) as unknown as Box;
      const corner = [x * 90, y * 70] as const;
      const box = [...corner, corner[0] + 4 + width * 60, corner[1] + 4 + height * 60];
      return box.map(Math.fround) as Box;
    });
    const counts = [8, 0, 3];
    const matches = addon.atssMatch(tensor(objects.flat(), [3, 8, 4]), indices(counts, [3]), defaultBoxes, boxGrids);
    expect(matches.shape).toEqual([3, 360]);
    for (const [n, count] of counts.entries()) {
      const own = objects.slice(8 * n, 8 * n + count);
      const expected = bruteForce(own, rowsOf(defaultBoxes) as Box[], boxGrids);
      expect([...matches.data.subarray(360 * n, 360 * (n + 1))]).toEqual(expected);
      expect(new Set(expected).size).toBeGreaterThan(count === 0 ? 0 : 2);
    }
  });

  it('matches nothing in a batch without objects', () => {
    expect(match([], row)).toEqual([-1, -1, -1]);
  });
});
