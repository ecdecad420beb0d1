import type { Box } from '../boxes/box.ts';
import { boxIou } from '../boxes/box.ts';
import type { Detection } from '../boxes/detection.ts';

/** A detection in a video. */
export interface VideoDetection extends Detection {
  /** With `track`: the same number for the same object in every frame, counted from 1. */
  id?: number;
}

export interface TrackerOptions {
  /** A detection goes on with a track of its class that it overlaps by at least this IoU. */
  minIou: number;
  /** A track that was not seen for more than so many frames is given up. */
  maxAge: number;
  /** The past's share in boxes and scores, from 0 (none) to below 1. */
  smoothing: number;
  /** Tracks score above this to be shown. */
  scoreThreshold: number;
}

/** One object over the frames. */
export interface Track {
  /** From 1; 0 until it is shown for the first time. */
  id: number;
  label: string;
  /** Smoothed. */
  score: number;
  box: Box;
  /** Frames since it was last seen: 0 for a track of this frame. */
  age: number;
}

/** What is known of the objects after a frame; those of the frame first, then by age. */
export interface Tracks {
  nextId: number;
  tracks: readonly Track[];
}

/** Of those not in the frame, so many of the last ones are remembered: noise at a threshold of 0 would make thousands. */
const MAX_MISSED = 1000;

export const noTracks: Tracks = { nextId: 1, tracks: [] };

/**
 * Takes the tracks on by one frame. Detections and tracks of the same class are paired greedily, the largest IoU first, as in IoU
 * tracking (Bochinski et al. 2017), but with tracks that outlive gaps.
 *
 * Boxes and scores are exponential moving averages. In that of the scores a frame without the object counts as 0, the frames before
 * the first one too: what is seen once and never again stays faint, and what is missed once stays visible.
 */
export function updateTracks(before: Tracks, detections: readonly Detection[], options: TrackerOptions): Tracks {
  const matched = matchTracks(before.tracks, detections, options.minIou);
  const { smoothing, scoreThreshold } = options;
  let { nextId } = before;
  const seen = detections.map(({ label, score, box }, index): Track => {
    const track = matched.get(index);
    const smoothed = mix(track?.score ?? 0, score, smoothing);
    const known = track?.id ?? 0;
    const id = known === 0 && smoothed > scoreThreshold ? nextId++ : known;
    return { id, label, score: smoothed, box: track ? mixBoxes(track.box, box, smoothing) : box, age: 0 };
  });
  const kept = new Set(matched.values());
  const missed = before.tracks
    .filter((track) => !kept.has(track) && track.age < options.maxAge)
    .slice(0, MAX_MISSED)
    .map((track) => ({ ...track, score: smoothing * track.score, age: track.age + 1 }));
  return { nextId, tracks: [...seen, ...missed] };
}

/** The tracks to be shown in this frame, best first. */
export function visibleTracks({ tracks }: Tracks, { scoreThreshold }: TrackerOptions): Required<VideoDetection>[] {
  return tracks
    .filter(({ score }) => score > scoreThreshold)
    .map(({ id, label, score, box }) => ({ id, label, score, box }))
    .sort((a, b) => b.score - a.score);
}

/** For each detection, by its index, the track that it goes on with, if there is one; ties go to the better score. */
function matchTracks(tracks: readonly Track[], detections: readonly Detection[], minIou: number): Map<number, Track> {
  const pairs: { index: number; score: number; track: Track; iou: number }[] = [];
  for (const [index, { label, score, box }] of detections.entries()) {
    for (const track of tracks) {
      const iou = track.label === label ? boxIou(track.box, box) : 0;
      if (iou >= minIou) pairs.push({ index, score, track, iou });
    }
  }
  pairs.sort((a, b) => b.iou - a.iou || b.score - a.score);
  const matched = new Map<number, Track>();
  const taken = new Set<Track>();
  for (const { index, track } of pairs) {
    if (matched.has(index) || taken.has(track)) continue;
    matched.set(index, track);
    taken.add(track);
  }
  return matched;
}

function mix(past: number, now: number, share: number): number {
  return share * past + (1 - share) * now;
}

function mixBoxes(past: Box, now: Box, share: number): Box {
  return {
    xmin: mix(past.xmin, now.xmin, share),
    ymin: mix(past.ymin, now.ymin, share),
    xmax: mix(past.xmax, now.xmax, share),
    ymax: mix(past.ymax, now.ymax, share),
  };
}
