import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  checkString,
  wrongArgument,
} from '../base/check.ts';
import type { RgbImage } from '../images/image.ts';
import type { VideoInfo } from './probe.ts';
import type { VideoDetection } from './tracker.ts';

/** How a video is read, looked at and written; nothing is required. */
export interface VideoOptions {
  /** Detections score above this, 0 to 1; default 0.15. */
  scoreThreshold?: number;
  /** Of one frame, the best ones; default 200. */
  maxDetections?: number;
  /**
   * Frames that go through the model together; default 4. About five batches are in memory at a time. A live source does not wait
   * for a batch to be full.
   */
  batchSize?: number;
  /** Give each object an `id` that is the same in every frame; default false. Objects are followed by the IoU of their boxes. */
  track?: boolean;
  /**
   * The past's share in boxes and scores, from 0 (default) to below 1: a moving average against flicker. An object that is not found
   * in a frame fades out, and one that is new fades in; 0.5 is a good value for 25 frames per second.
   */
  smooth?: number;
  /**
   * Write the video with its boxes to this file (mp4, m4v, mov, mkv, webm), instead of what has that name: with the frame times,
   * upright, and with the audio of a file or of a URL that is not live. It is there when the iteration has ended.
   */
  output?: string;
  /** Give the pixels of each frame, as they are in the source; default false. */
  images?: boolean;
  /** Of a camera: ffmpeg's name for the kind of input, such as `v4l2`, `avfoundation`, `dshow`. */
  format?: string;
  /** The path of the ffmpeg program, with ffprobe beside it; default: the environment's `DINOV3_DET_FFMPEG`, else the system's. */
  ffmpeg?: string;
  /** A source or an encoder that does nothing for so many seconds is given up; default 30. */
  stallSeconds?: number;
  /** Ends everything at once, with its reason; no output file is left. So does leaving the loop. */
  signal?: AbortSignal;
  /** Ends the source where it is, as if it were no longer: the output file is finished. For cameras, and Ctrl-C. */
  stop?: AbortSignal;
  /** Called once, when it is known what the source is. */
  onStart?: (info: VideoInfo) => void;
  /** Called with each frame, before the loop gets it. */
  onFrame?: (frame: VideoFrame) => void;
  /** What is wrong with the source, but did not hinder: it is shorter than it says, or its audio cannot be had. */
  onWarning?: (message: string) => void;
  /** Called once, when the output file is there; not when the loop was left or an error came. */
  onEnd?: (summary: VideoSummary) => void;
}

/** One frame of a video and what was found in it. */
export interface VideoFrame {
  /** Counted from 0; of a live source that is faster than the model, numbers are left out. */
  frame: number;
  /** Seconds from the beginning of the source. */
  timestamp: number;
  /** Best first; boxes in pixels of the upright frame. */
  detections: VideoDetection[];
  /** With `images`. */
  image?: RgbImage;
}

/** What `onEnd` is told when a video is done, or is left. */
export interface VideoSummary {
  /** That were looked at. */
  frames: number;
  /** Of a live source, those that there was no time for. */
  dropped: number;
  /** From the first frame to the end. */
  seconds: number;
  /** Frames per second of resize, model and NMS; the first batch, which warms up, does not count where there are others. */
  modelFps: number;
  /** Frames per second of all: decoding, detection, drawing and encoding at the same time. */
  fps: number;
}

type Hooks = 'onStart' | 'onFrame' | 'onWarning' | 'onEnd';
type Optional = 'output' | 'format' | 'ffmpeg' | 'signal' | 'stop';
export type VideoSettings = Required<Omit<VideoOptions, Hooks | Optional>> & Pick<VideoOptions, Hooks | Optional>;

const keys = [
  ...['scoreThreshold', 'maxDetections', 'batchSize', 'track', 'smooth', 'output', 'images', 'format', 'ffmpeg'],
  ...['stallSeconds', 'signal', 'stop', 'onStart', 'onFrame', 'onWarning', 'onEnd'],
];

/** @throws TypeError or RangeError */
export function checkVideoOptions(value: VideoOptions): VideoSettings {
  const options = checkKeys('options', value, keys) as VideoOptions;
  for (const name of ['output', 'ffmpeg'] as const) if (options[name] !== undefined) checkString(name, options[name]);
  for (const name of ['onStart', 'onFrame', 'onWarning', 'onEnd'] as const)
    if (options[name] !== undefined) checkFunction(name, options[name]);
  for (const name of ['signal', 'stop'] as const) checkSignal(name, options[name]);
  // A name, so that it cannot be taken for one of ffmpeg's options.
  if (options.format !== undefined && !/^[a-z0-9][a-z0-9_]*$/i.test(checkString('format', options.format)))
    throw new RangeError(wrongArgument('format', "name of one of ffmpeg's input formats", options.format));
  return {
    ...options,
    scoreThreshold: checkNumber('scoreThreshold', options.scoreThreshold ?? 0.15, 0, 1),
    maxDetections: checkInteger('maxDetections', options.maxDetections ?? 200, 1, 1e6),
    batchSize: checkInteger('batchSize', options.batchSize ?? 4, 1, 1024),
    track: checkBoolean('track', options.track ?? false),
    smooth: checkNumber('smooth', options.smooth ?? 0, 0, 0.99),
    images: checkBoolean('images', options.images ?? false),
    stallSeconds: checkNumber('stallSeconds', options.stallSeconds ?? 30, 0.1, 86_400),
  };
}

function checkSignal(name: string, signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError(wrongArgument(name, 'AbortSignal', signal));
}
