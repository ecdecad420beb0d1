import type { Box } from '../boxes/box.ts';
import { boxIou } from '../boxes/box.ts';
import type { Detection } from '../boxes/detection.ts';

/** A detection in a video. */
export interface VideoDetection extends Detection {
  /** The number of the object with `track`: the same in every frame, counted from 1. */
  id?: number;
}

export interface TrackerOptions {
  /** The smallest IoU at which a detection continues a track of its class. */
  minIou: number;
  /** The number of frames after which a lost track ends. */
  maxAge: number;
  /** The weight of earlier frames in boxes and scores, from 0 (none) to below 1. */
  smoothing: number;
  /** The score above which a track is shown. */
  scoreThreshold: number;
}

/** One object across the frames. */
export interface Track {
  /** The number of the object, from 1; 0 until the track is first shown. */
  id: number;
  label: string;
  /** The smoothed score. */
  score: number;
  box: Box;
  /** The number of frames since the object was last seen: 0 for a track of this frame. */
  age: number;
}

/** The tracks after a frame: first the tracks of that frame, then by age. */
export interface Tracks {
  nextId: number;
  tracks: readonly Track[];
}

/** The number of lost tracks that are kept. Noise at a threshold of 0 would make thousands. */
const MAX_MISSED = 1000;

export const noTracks: Tracks = { nextId: 1, tracks: [] };

/**
 * Continues the tracks by one frame. Detections and tracks of the same class are paired greedily, the largest IoU first. This is IoU
 * tracking (Bochinski et al. 2017), but tracks outlive gaps.
 *
 * Boxes and scores are exponential moving averages. A frame without the object counts as score 0, and so do the frames before the first
 * one. An object that is seen once stays faint. An object that is missed once stays visible.
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

/** The tracks to show in this frame, best first. */
export function visibleTracks({ tracks }: Tracks, { scoreThreshold }: TrackerOptions): Required<VideoDetection>[] {
  return tracks
    .filter(({ score }) => score > scoreThreshold)
    .map(({ id, label, score, box }) => ({ id, label, score, box }))
    .sort((a, b) => b.score - a.score);
}

/** Finds the track that each detection continues, by the detection's index. On a tie the better score wins. */
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
