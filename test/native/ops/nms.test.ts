import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { loadTestAddon, pattern, uniform } from '../support.ts';

const addon = await loadTestAddon();
const cases: NmsCase[] = await golden('native/nms.json');

interface NmsCase {
  name: string;
  count: number;
  classes: number;
  /** Different scores that there can be. */
  levels: number;
  kept: number[];
}

interface Candidates {
  boxes: Float32Array;
  scores: Float32Array;
  labels: Int32Array;
}

/** `nms_case` of test/reference/make_ops.py: boxes in groups of eight. */
function groupedCandidates({ name, count, classes, levels }: NmsCase): Candidates {
  const places = pattern(`${name}.place`, [Math.ceil(count / 8), 2], 0.7, 0.35).data;
  const corners = pattern(`${name}.corner`, [count, 2], 0.08).data;
  const sizes = pattern(`${name}.size`, [count, 2], 0.06, 0.15).data;
  const boxes = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    for (const axis of [0, 1]) {
      const side = axis === 0 ? 320 : 240;
      const corner = Math.fround(places[2 * (i >> 3) + axis]! + corners[2 * i + axis]!);
      boxes[4 * i + axis] = corner * side;
      boxes[4 * i + axis + 2] = Math.fround(corner + sizes[2 * i + axis]!) * side;
    }
  }
  return {
    boxes,
    scores: pattern(`${name}.scores`, [count], levels, levels / 2).data.map((score) => Math.floor(score) / levels),
    labels: Int32Array.from({ length: count }, (_, i) => ((i * 7 + Math.floor(i / 11)) % classes) + 1),
  };
}

function randomCandidates(name: string, count: number, classes: number): Candidates {
  const values = uniform(name, count * 6).map((value) => value + 0.5);
  const at = (i: number, column: number) => values[6 * i + column]!;
  return {
    boxes: Float32Array.from({ length: count * 4 }, (_, k) => {
      const [i, corner] = [k >> 2, k & 3];
      return Math.fround(at(i, corner & 1) * 60 + (corner > 1 ? 10 + at(i, corner) * 30 : 0));
    }),
    scores: Float32Array.from({ length: count }, (_, i) => at(i, 4)),
    labels: Int32Array.from({ length: count }, (_, i) => 1 + Math.floor(at(i, 5) * classes)),
  };
}

function iou(boxes: Float32Array, a: number, b: number): number {
  const box = (i: number) => boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
  const [ax, ay, aX, aY] = box(a);
  const [bx, by, bX, bY] = box(b);
  const overlap = Math.max(0, Math.min(aX, bX) - Math.max(ax, bx)) * Math.max(0, Math.min(aY, bY) - Math.max(ay, by));
  return overlap / ((aX - ax) * (aY - ay) + (bX - bx) * (bY - by) - overlap);
}

/** NMS as its definition says. */
function bruteForce({ boxes, scores, labels }: Candidates, threshold: number): number[] {
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  const kept: number[] = [];
  for (const i of order) {
    if (kept.every((better) => labels[better] !== labels[i] || iou(boxes, better, i) <= threshold)) kept.push(i);
  }
  return kept;
}

describe('batched_nms', () => {
  it('keeps the better of two overlapping boxes of a class, and boxes of other classes', () => {
    const boxes = [0, 0, 10, 10, 0, 0, 10, 9, 0, 0, 10, 9, 50, 50, 60, 60];
    expect(addon.batchedNms({ boxes, scores: [0.5, 0.9, 0.8, 0.1], labels: [1, 1, 2, 1] }, 0.45)).toEqual([1, 2, 3]);
  });

  it('suppresses above the threshold, not at it', () => {
    const pair = { boxes: [0, 0, 10, 10, 0, 0, 10, 5], scores: [0.9, 0.8], labels: [1, 1] }; // IoU .5
    expect(addon.batchedNms(pair, 0.5)).toEqual([0, 1]);
    expect(addon.batchedNms(pair, 0.49)).toEqual([0]);
  });

  it('does not let a suppressed box suppress', () => {
    const chain = { boxes: [0, 0, 10, 1, 3, 0, 13, 1, 6, 0, 16, 1], scores: [0.9, 0.8, 0.7], labels: [1, 1, 1] };
    expect(addon.batchedNms(chain, 0.45)).toEqual([0, 2]);
  });

  it('keeps the order of equal scores', () => {
    const boxes = [0, 0, 1, 1, 5, 5, 6, 6, 9, 9, 10, 10];
    expect(addon.batchedNms({ boxes, scores: [0.5, 0.5, 0.5], labels: [3, 1, 2] }, 0.45)).toEqual([0, 1, 2]);
  });

  it('orders scores of every sign and size; 0 and -0 are equal', () => {
    const scores = [-1, 0, 1e-40, -0, 3, -1e30, 0, 2.5, 1e30, -1e-40];
    const boxes = scores.flatMap((_, i) => [20 * i, 0, 20 * i + 10, 10]);
    const kept = addon.batchedNms({ boxes, scores, labels: scores.map((_, i) => i % 3) }, 0.45);
    expect(kept).toEqual([8, 4, 7, 2, 1, 3, 6, 9, 0, 5]);
  });

  it('is what its definition says when many scores are equal', () => {
    const { scores, ...rest } = randomCandidates('ties', 3000, 300);
    const candidates = { ...rest, scores: scores.map((score) => Math.floor(score * 8) / 8) };
    expect(addon.batchedNms(candidates, 0.3)).toEqual(bruteForce(candidates, 0.3));
  });

  it('takes no boxes, and boxes without area', () => {
    expect(addon.batchedNms({ boxes: [], scores: [], labels: [] }, 0.45)).toEqual([]);
    const flat = { boxes: [5, 5, 5, 5, 5, 5, 5, 5], scores: [0.2, 0.3], labels: [1, 1] }; // IoU 0/0
    expect(addon.batchedNms(flat, 0.45)).toEqual([1, 0]);
  });

  it.each(cases)('equals torchvision: $name ($count boxes, $classes classes)', (expected) => {
    expect(addon.batchedNms(groupedCandidates(expected), 0.45)).toEqual(expected.kept);
  });

  it.each([
    ['offsets', 1000],
    ['class by class', 1001],
  ])('is what its definition says: %s (%i boxes)', (name, count) => {
    const candidates = randomCandidates(name, count, 5);
    const kept = addon.batchedNms(candidates, 0.45);
    expect(kept).toEqual(bruteForce(candidates, 0.45));
    expect(kept.length).toBeLessThan(count / 2);
    for (let k = 1; k < kept.length; k++) {
      expect(candidates.scores[kept[k]!]).toBeLessThanOrEqual(candidates.scores[kept[k - 1]!]!);
    }
    for (const a of kept) {
      for (const b of kept) {
        if (a < b && candidates.labels[a] === candidates.labels[b] && iou(candidates.boxes, a, b) > 0.4500001) {
          expect.fail(`${a} and ${b} of class ${candidates.labels[a]} overlap`);
        }
      }
    }
  });
});
