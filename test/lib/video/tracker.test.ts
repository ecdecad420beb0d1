import { describe, expect, it } from 'vitest';
import type { Detection } from '../../../lib/boxes/detection.ts';
import { noTracks, type TrackerOptions, type Tracks, updateTracks, visibleTracks } from '../../../lib/video/tracker.ts';

const options: TrackerOptions = { minIou: 0.3, maxAge: 2, smoothing: 0, scoreThreshold: 0.15 };
const at = (x: number, score = 0.9, label = 'cat'): Detection => ({
  label,
  score,
  box: { xmin: x, ymin: 0, xmax: x + 10, ymax: 10 },
});
/** The ids and left edges of what is shown in each frame. */
function follow(frames: readonly Detection[][], given: Partial<TrackerOptions> = {}) {
  const all = { ...options, ...given };
  let tracks: Tracks = noTracks;
  return frames.map((detections) => {
    tracks = updateTracks(tracks, detections, all);
    return visibleTracks(tracks, all);
  });
}
const ids = (frames: ReturnType<typeof follow>) => frames.map((frame) => frame.map(({ id, box }) => [id, box.xmin]));

describe('ids', () => {
  it('stay with an object that moves, whatever the order of the detections', () => {
    const found = follow([
      [at(0, 0.9), at(100, 0.8)],
      [at(102, 0.9), at(3, 0.8)],
      [at(6, 0.9), at(104, 0.8)],
    ]);
    // biome-ignore format: a line for each frame
    expect(ids(found)).toEqual([
      [[1, 0], [2, 100]],
      [[2, 102], [1, 3]],
      [[1, 6], [2, 104]],
    ]);
  });

  it('go by IoU: 4 of 16 is not enough, 5 of 15 is', () => {
    // Boxes of 10 x 10 shifted by 6 have IoU 40 / 160 = .25, shifted by 5 they have 50 / 150 = .33.
    expect(ids(follow([[at(0)], [at(6)]]))[1]).toEqual([[2, 6]]);
    expect(ids(follow([[at(0)], [at(5)]]))[1]).toEqual([[1, 5]]);
  });

  it('are given to the largest IoU first', () => {
    // Track 1 at 0: the box at 1 has IoU 90 / 110, that at 3 has 70 / 130; the better score does not matter.
    expect(ids(follow([[at(0)], [at(3, 0.99), at(1, 0.5)]]))[1]).toEqual([
      [2, 3],
      [1, 1],
    ]);
  });

  it('of equal IoU go to the better score', () => {
    expect(ids(follow([[at(4)], [at(2, 0.5), at(6, 0.8)]]))[1]).toEqual([
      [1, 6],
      [2, 2],
    ]);
  });

  it('are of one class', () => {
    expect(ids(follow([[at(0)], [at(0, 0.9, 'dog')], [at(0)]]))).toEqual([[[1, 0]], [[2, 0]], [[1, 0]]]);
  });

  it('outlive a gap of maxAge frames and no longer one', () => {
    expect(ids(follow([[at(0)], [], [], [at(0)]])).at(-1)).toEqual([[1, 0]]);
    expect(ids(follow([[at(0)], [], [], [], [at(0)]])).at(-1)).toEqual([[2, 0]]);
  });

  it('are not used twice in a frame', () => {
    const [, second] = follow([[at(0)], [at(0), at(1), at(2)]]);
    expect(new Set(second!.map(({ id }) => id))).toEqual(new Set([1, 2, 3]));
  });
});

describe('without smoothing', () => {
  it('shows what was detected, and nothing that was not', () => {
    const [first, second] = follow([[at(0, 0.9), at(50, 0.2)], []]);
    expect(first).toEqual([
      { id: 1, ...at(0, 0.9) },
      { id: 2, ...at(50, 0.2) },
    ]);
    expect(second).toEqual([]);
    expect(follow([[at(0)], []], { scoreThreshold: 0 })[1]).toEqual([]);
  });
});

describe('smoothing', () => {
  const half = { smoothing: 0.5, scoreThreshold: 0.2 };

  it('lets a score rise and fade, by halves', () => {
    const scores = follow([[at(0, 0.8)], [at(0, 0.8)], [], []], half).map((frame) => frame.map(({ score }) => score));
    // .5 * .8; .5 * .4 + .5 * .8; then halves.
    expect(scores).toEqual([[0.4], [expect.closeTo(0.6, 12)], [expect.closeTo(0.3, 12)], []]);
  });

  it('does not show what is seen once, faintly, and spends no number on it', () => {
    expect(follow([[at(0, 0.35)], [], [at(50)]], half)).toEqual([[], [], [{ id: 1, ...at(50, 0.45) }]]);
  });

  it('moves a box half of the way, and holds it where the object was missed', () => {
    const found = follow([[at(0)], [at(4)], []], half);
    expect(found.map(([track]) => track!.box.xmin)).toEqual([0, 2, 2]);
    expect(found[1]![0]!.box).toEqual({ xmin: 2, ymin: 0, xmax: 12, ymax: 10 });
  });
});

it('leaves what it is given as it is, and remembers no more than so many', () => {
  const many = Array.from({ length: 3000 }, (_, i) => at(20 * i, 0.9, `class ${i % 50}`));
  const first = Object.freeze(updateTracks(noTracks, many, options));
  expect(first.tracks).toHaveLength(3000);
  const second = updateTracks(first, [], options);
  expect(second.tracks).toHaveLength(1000);
  expect(second.tracks[0]).toMatchObject({ id: 1, age: 1 });
  expect(first.tracks[0]).toMatchObject({ id: 1, age: 0, score: 0.9 });
  expect(noTracks).toEqual({ nextId: 1, tracks: [] });
});
