import { describe, expect, it } from 'vitest';

import { expectClose, loadTestAddon, type NmsCandidates } from '../support.ts';

const addon = await loadTestAddon();

/** The boxes that are kept, averaged. */
function weighted(candidates: NmsCandidates, threshold: number): number[][] {
  const kept = addon.batchedNms(candidates, threshold);
  const boxes = addon.weightBoxes(candidates, kept, threshold);
  return kept.map((index) => boxes.slice(4 * index, 4 * index + 4));
}

describe('weighted NMS', () => {
  it('averages a kept box with those of its class that it suppressed, by score', () => {
    const boxes = [0, 0, 10, 10, 0, 0, 10, 8, 0, 0, 10, 8, 50, 50, 60, 60];
    const found = weighted({ boxes, scores: [0.6, 0.2, 0.9, 0.1], labels: [1, 1, 2, 1] }, 0.45);
    expectClose(found.flat(), [0, 0, 10, 8, 0, 0, 10, (0.6 * 10 + 0.2 * 8) / 0.8, 50, 50, 60, 60], 1e-6);
  });

  it('counts a box once, for the best that suppressed it, and none that is kept', () => {
    // IoU of neighbours 7 / 13, of the first and the last 4 / 16: the middle one belongs to the first.
    const chain = { boxes: [0, 0, 10, 1, 3, 0, 13, 1, 6, 0, 16, 1], scores: [0.9, 0.3, 0.7], labels: [1, 1, 1] };
    expectClose(weighted(chain, 0.45).flat(), [0.75, 0, 10.75, 1, 6, 0, 16, 1], 1e-6);
  });

  it('leaves the boxes that are not kept, and equal boxes, as they are', () => {
    const boxes = [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4];
    expect(addon.weightBoxes({ boxes, scores: [0.9, 0.8, 0.7], labels: [1, 1, 1] }, [0], 0.45)).toEqual(boxes);
    expect(addon.weightBoxes({ boxes: [], scores: [], labels: [] }, [], 0.45)).toEqual([]);
  });

  it('keeps boxes whose scores are zero', () => {
    const boxes = [0, 0, 10, 10, 0, 0, 10, 9];
    expect(weighted({ boxes, scores: [0, 0], labels: [1, 1] }, 0.45)).toEqual([[0, 0, 10, 10]]);
  });
});
