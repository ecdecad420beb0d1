import { checkString, wrongArgument } from '../base/check.ts';
import { boolean, callback, instance, integer, kind, number, text } from '../base/kinds.ts';
import { type Given, option, type Resolved, resolve } from '../base/option.ts';
import type { RgbImage } from '../images/image.ts';
import { type ShownOptions, shownTable } from '../model/postprocess-options.ts';
import type { VideoInfo } from './probe.ts';
import type { VideoDetection } from './tracker.ts';

const [source, detection, output, hooks] = ['Source', 'Detection', 'Output', 'Hooks'] as const;

const ownTable = {
  /**
   * The number of frames that go through the model together. About five batches are in memory at a time. A live source does not wait for
   * a batch to be full.
   * @default 4
   */
  batchSize: option(integer({ min: 1, max: 1024 }), {
    default: 4,
    group: detection,
    flags: ['batch'],
    help: 'frames that go through the model together',
  }),
  /**
   * Whether each object gets an `id` that is the same in every frame. Objects are followed by the IoU of their boxes.
   * @default false
   */
  track: option(boolean(), { default: false, group: detection, help: 'give each object a number that it keeps' }),
  /**
   * The past's share in boxes and scores, below 1: a moving average against flicker. An object that is not found in a frame fades out, and
   * one that is new fades in; 0.5 is a good value for 25 frames per second.
   * @default 0
   */
  smooth: option(number({ max: 0.99 }), {
    default: 0,
    group: detection,
    placeholder: '[share]',
    withoutValue: 0.5,
    help: "against flicker: the past's share in boxes and scores",
  }),
  /**
   * The file (mp4, m4v, mov, mkv, webm) that the video is written to with its boxes, instead of what has that name: with the frame times,
   * upright, and with the audio of a file or of a URL that is not live. It is there when the iteration has ended.
   * @default none
   */
  output: option(text('<file>'), {
    group: output,
    help: 'write the video with its boxes: mp4, m4v, mov, mkv or webm',
  }),
  /**
   * Whether each frame comes with its pixels, as they are in the source.
   * @default false
   */
  images: option(boolean(), { default: false, group: output, flag: false, help: 'give the pixels of each frame' }),
  /**
   * For a camera, ffmpeg's name for the kind of input, such as `v4l2`, `avfoundation`, `dshow`.
   * @default what ffmpeg finds out
   */
  format: option(kind<string>(checkFormat, "name of one of ffmpeg's input formats", { placeholder: '<name>' }), {
    group: source,
    help: "of a camera: ffmpeg's name for the kind of input (v4l2, avfoundation, dshow)",
  }),
  /**
   * The path of the ffmpeg program, with ffprobe beside it.
   * @default that of the environment's `DINOV3_DET_FFMPEG`, else the system's
   */
  ffmpeg: option(text('<path>'), {
    unset: 'DINOV3_DET_FFMPEG, or that on PATH',
    group: source,
    help: 'the ffmpeg program',
  }),
  /**
   * The seconds after which a source or an encoder that does nothing is given up.
   * @default 30
   */
  stallSeconds: option(number({ min: 0.1, max: 86_400 }), {
    default: 30,
    group: source,
    flags: ['stall-timeout'],
    placeholder: '<s>',
    help: 'give up when nothing comes for so many seconds',
  }),
  /** Ends everything at once, with its reason; no output file is left. So does leaving the loop. */
  signal: option(instance(AbortSignal), { group: hooks, flag: false, help: 'ends everything at once' }),
  /** Ends the source where it is, as if it were no longer: the output file is finished. For cameras, and Ctrl-C. */
  stop: option(instance(AbortSignal), { group: hooks, flag: false, help: 'ends the source where it is' }),
  /** Called once, when it is known what the source is. */
  onStart: option(callback<(info: VideoInfo) => void>(), {
    group: hooks,
    flag: false,
    help: 'told what the source is',
  }),
  /** Called with each frame, before the loop gets it. */
  onFrame: option(callback<(frame: VideoFrame) => void>(), { group: hooks, flag: false, help: 'given each frame' }),
  /** Called with what is wrong with the source, but did not hinder: it is shorter than it says, or its audio cannot be had. */
  onWarning: option(callback<(message: string) => void>(), { group: hooks, flag: false, help: 'told what is wrong' }),
  /** Called once, when the output file is there; not when the loop was left or an error came. */
  onEnd: option(callback<(summary: VideoSummary) => void>(), { group: hooks, flag: false, help: 'told the result' }),
};

/** Every option of `detectVideo`. */
export const videoTable = { ...shownTable, ...ownTable };

/** How a video is read, looked at and written; nothing is required. */
export interface VideoOptions extends ShownOptions, Given<typeof ownTable> {}

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

export type VideoSettings = Resolved<typeof videoTable>;

/** @throws TypeError or RangeError */
export function checkVideoOptions(value: VideoOptions): VideoSettings {
  return resolve(videoTable, value);
}

/** A name, so that it cannot be taken for one of ffmpeg's options. */
function checkFormat(name: string, value: unknown): string {
  if (/^[a-z0-9][a-z0-9_]*$/i.test(checkString(name, value))) return value as string;
  throw new RangeError(wrongArgument(name, "name of one of ffmpeg's input formats", value));
}
