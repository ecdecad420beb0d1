import { describe, expect, it } from 'vitest';

import { loadTestAddon, uniform } from '../support.ts';

const addon = await loadTestAddon();
const pair = (boxes: number[]) => ({ boxes, scores: [0.9, 0.8], labels: [1, 1] });

describe('DIoU-NMS', () => {
  it('takes the distance of the centres off the IoU', () => {
    // IoU .5; the centres are 2.5 apart, the corners of the box around both sqrt(200): 6.25 / 200 = .03125.
    const boxes = pair([0, 0, 10, 10, 0, 0, 10, 5]);
    expect(addon.diouNms(boxes, 0.46875)).toEqual([0, 1]);
    expect(addon.diouNms(boxes, 0.4687)).toEqual([0]);
    expect(addon.batchedNms(boxes, 0.46875)).toEqual([0]);
  });

  it('is plain NMS for boxes of one centre', () => {
    const boxes = pair([0, 0, 10, 10, 0, 2.5, 10, 7.5]); // IoU .5
    expect(addon.diouNms(boxes, 0.5)).toEqual([0, 1]);
    expect(addon.diouNms(boxes, 0.49)).toEqual([0]);
  });

  it('leaves boxes of other classes alone, and takes none', () => {
    const boxes = [0, 0, 10, 10, 0, 0, 10, 10];
    expect(addon.diouNms({ boxes, scores: [0.8, 0.9], labels: [1, 2] }, 0.1)).toEqual([1, 0]);
    expect(addon.diouNms({ boxes: [], scores: [], labels: [] }, 0.1)).toEqual([]);
  });

  it('is what its definition says, on 600 random boxes', () => {
    const values = uniform('diou', 600 * 5).map((value) => value + 0.5);
    const rows = Array.from({ length: 600 }, (_, i) => {
      const [x, y, width, height, score] = values.slice(5 * i, 5 * i + 5) as unknown as number[];
      const corner = [x! * 60, y! * 60] as const;
      return { score: score!, box: [...corner, corner[0] + 10 + width! * 30, corner[1] + 10 + height! * 30] as const };
    });
    const kept: number[] = [];
    for (const i of [...rows.keys()].sort((a, b) => rows[b]!.score - rows[a]!.score)) {
      if (kept.every((better) => distanceIou(rows[better]!.box, rows[i]!.box) <= 0.3)) kept.push(i);
    }
    const candidates = {
      boxes: rows.flatMap(({ box }) => [...box]),
      scores: rows.map(({ score }) => score),
      labels: Array(600).fill(1),
    };
    expect(addon.diouNms(candidates, 0.3)).toEqual(kept);
    expect(kept.length).toBeGreaterThan(addon.batchedNms(candidates, 0.3).length);
    expect(kept.length).toBeLessThan(300);
  });
});

function distanceIou([ax, ay, aX, aY]: readonly number[], [bx, by, bX, bY]: readonly number[]): number {
  const [al, at, ar, ab, bl, bt, br, bb] = [ax!, ay!, aX!, aY!, bx!, by!, bX!, bY!];
  const overlap = Math.max(0, Math.min(ar, br) - Math.max(al, bl)) * Math.max(0, Math.min(ab, bb) - Math.max(at, bt));
  const iou = overlap / ((ar - al) * (ab - at) + (br - bl) * (bb - bt) - overlap);
  const centers = ((al + ar - bl - br) / 2) ** 2 + ((at + ab - bt - bb) / 2) ** 2;
  const corners = (Math.max(ar, br) - Math.min(al, bl)) ** 2 + (Math.max(ab, bb) - Math.min(at, bt)) ** 2;
  return iou - centers / corners;
}
