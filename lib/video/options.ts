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
   * The number of frames that go through the model together. About five batches are in memory at a time. A live source does not wait for a
   * full batch.
   * @default 4
   */
  batchSize: option(integer({ min: 1, max: 1024 }), {
    default: 4,
    group: detection,
    flags: ['batch'],
    help: 'frames that go through the model together',
  }),
  /**
   * Whether each object gets an `id` that stays the same in every frame. Tracking compares the boxes by IoU.
   * @default false
   */
  track: option(boolean(), { default: false, group: detection, help: 'give each object a number that stays the same' }),
  /**
   * The weight of earlier frames in boxes and scores, below 1: a moving average against flicker. A lost object fades out, and a new one
   * fades in. 0.5 is a good value for 25 frames per second.
   * @default 0
   */
  smooth: option(number({ max: 0.99 }), {
    default: 0,
    group: detection,
    placeholder: '[share]',
    withoutValue: 0.5,
    help: 'weight of earlier frames in boxes and scores, against flicker',
  }),
  /**
   * The output file (mp4, m4v, mov, mkv, webm) with drawn boxes. It replaces an existing file. It has the frame times of the source and is
   * upright. It has the audio of a file, or of a URL that is not live. It is complete when the iteration has ended.
   * @default none
   */
  output: option(text('<file>'), {
    group: output,
    help: 'write the video with its boxes: mp4, m4v, mov, mkv or webm',
  }),
  /**
   * Whether each frame includes its pixels, as they are in the source.
   * @default false
   */
  images: option(boolean(), { default: false, group: output, flag: false, help: 'include the pixels of each frame' }),
  /**
   * The input format of a camera by ffmpeg's name, such as `v4l2`, `avfoundation`, `dshow`.
   * @default ffmpeg detects it
   */
  format: option(kind<string>(checkFormat, "name of one of ffmpeg's input formats", { placeholder: '<name>' }), {
    group: source,
    help: "input format of a camera by ffmpeg's name (v4l2, avfoundation, dshow)",
  }),
  /**
   * The path of the ffmpeg program. ffprobe must lie beside it.
   * @default the environment variable `DINOV3_DET_FFMPEG`, else the system's ffmpeg
   */
  ffmpeg: option(text('<path>'), {
    unset: 'DINOV3_DET_FFMPEG, or ffmpeg on PATH',
    group: source,
    help: 'path of the ffmpeg program',
  }),
  /**
   * The number of seconds after which a source or an encoder without progress has stalled.
   * @default 30
   */
  stallSeconds: option(number({ min: 0.1, max: 86_400 }), {
    default: 30,
    group: source,
    flags: ['stall-timeout'],
    placeholder: '<s>',
    help: 'seconds without progress after which to give up',
  }),
  /**
   * Aborting this signal ends everything at once with its reason, and leaves no output file. Leaving the loop does the same.
   * @default none
   */
  signal: option(instance(AbortSignal), { group: hooks, flag: false, help: 'ends everything at once' }),
  /**
   * Aborting this signal ends the source at this point, as if it were no longer. The output file is finished. Use it for cameras and
   * Ctrl-C.
   * @default none
   */
  stop: option(instance(AbortSignal), { group: hooks, flag: false, help: 'ends the source at this point' }),
  /**
   * Called once, when the properties of the source are known.
   * @default none
   */
  onStart: option(callback<(info: VideoInfo) => void>(), {
    group: hooks,
    flag: false,
    help: 'called with the properties of the source',
  }),
  /**
   * Called with each frame before the loop gets it.
   * @default none
   */
  onFrame: option(callback<(frame: VideoFrame) => void>(), {
    group: hooks,
    flag: false,
    help: 'called with each frame',
  }),
  /**
   * Called with a problem of the source that did not stop it, for example missing audio.
   * @default none
   */
  onWarning: option(callback<(message: string) => void>(), {
    group: hooks,
    flag: false,
    help: 'called with each problem',
  }),
  /**
   * Called once when the output file is complete. It is not called if the loop was left or an error occurred.
   * @default none
   */
  onEnd: option(callback<(summary: VideoSummary) => void>(), {
    group: hooks,
    flag: false,
    help: 'called with the summary',
  }),
};

/** The table of every option of `detectVideo`. */
export const videoTable = { ...shownTable, ...ownTable };

/** The options of `detectVideo`. None is required. */
export interface VideoOptions extends ShownOptions, Given<typeof ownTable> {}

/** One frame of a video and its detections. */
export interface VideoFrame {
  /** The number of the frame, from 0. A live source that is faster than the model skips numbers. */
  frame: number;
  /** The time from the beginning of the source, in seconds. */
  timestamp: number;
  /** The detections, best first, with boxes in pixels of the upright frame. */
  detections: VideoDetection[];
  /** The pixels of the frame, with the option `images`. */
  image?: RgbImage;
}

/** The summary that `onEnd` gets when a video has ended. */
export interface VideoSummary {
  /** The number of frames that went through the model. */
  frames: number;
  /** The number of frames of a live source that were dropped for lack of time. */
  dropped: number;
  /** The duration from the first frame to the end, in seconds. */
  seconds: number;
  /** Frames per second of resizing, model and NMS. The first batch warms up and does not count, unless it is the only one. */
  modelFps: number;
  /** Frames per second overall, with decoding, detection, drawing and encoding at the same time. */
  fps: number;
}

export type VideoSettings = Resolved<typeof videoTable>;

/** Checks the options and fills in defaults. @throws {TypeError|RangeError} naming the option */
export function checkVideoOptions(value: VideoOptions): VideoSettings {
  return resolve(videoTable, value);
}

/** Checks for a plain name, which ffmpeg cannot take for one of its options. */
function checkFormat(name: string, value: unknown): string {
  if (/^[a-z0-9][a-z0-9_]*$/i.test(checkString(name, value))) return value as string;
  throw new RangeError(wrongArgument(name, "name of one of ffmpeg's input formats", value));
}
