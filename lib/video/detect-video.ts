import { stat } from 'node:fs/promises';
import { checkString } from '../base/check.ts';
import { DetectorError } from '../base/errors.ts';
import type { Detection } from '../boxes/detection.ts';
import { drawDetections } from '../images/draw.ts';
import type { RgbImage } from '../images/image.ts';
import { containerOf } from './container.ts';
import { type Ffmpeg, findFfmpeg } from './ffmpeg.ts';
import { FrameReader, type RawFrame } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { checkVideoOptions, type VideoFrame, type VideoOptions, type VideoSettings } from './options.ts';
import { probeVideo, type VideoInfo } from './probe.ts';
import { ReadAhead } from './read-ahead.ts';
import { openSource, type VideoSource } from './source.ts';
import { Speedometer } from './speedometer.ts';
import { noTracks, type TrackerOptions, updateTracks, type VideoDetection, visibleTracks } from './tracker.ts';

/** Anything that detects objects in frames, such as a `Detector`. This room does not import `Detector`. */
export interface FrameDetector {
  detect(
    images: readonly RgbImage[],
    options?: { scoreThreshold?: number; maxDetections?: number; batchSize?: number },
  ): Promise<Detection[][]>;
}

/** A frame with its detections and pixels. */
type DetectedFrame = RawFrame & Pick<VideoFrame, 'detections'>;

const MIN_IOU = 0.3;
const MAX_AGE = 30;

/**
 * Detects the objects in each frame of a video, in order. Decoding, detection and encoding run at the same time, each at most one batch
 * ahead of the next. A slow reader slows down the decoder, and memory use stays constant. A live source drops frames instead.
 *
 * `source` is a file, a URL (http, https, rtsp, rtmp, udp, rtp, srt, tcp) or a camera (see `format`). If a source breaks off, you still get
 * its frames, and the output file is finished. Leaving the loop, or aborting `signal`, ends all programs at once.
 * @throws {TypeError|RangeError} for a wrong option; the message names it
 * @throws {DetectorError} `FFMPEG_NOT_FOUND`, `VIDEO_UNREADABLE`, `VIDEO_STALLED`, `FFMPEG_FAILED`, `OUTPUT_NOT_WRITABLE`, and the codes of
 * `Detector.detect`
 * @throws the reason of `signal` when it is aborted
 */
export async function* detectVideo(
  detector: FrameDetector,
  source: string,
  options: VideoOptions = {},
): AsyncGenerator<VideoFrame, void, void> {
  const settings = checkVideoOptions(options);
  if (settings.output !== undefined) containerOf(settings.output);
  const end = new AbortController(); // ends all programs, however the loop is left
  const signal = settings.signal ? AbortSignal.any([settings.signal, end.signal]) : end.signal;
  signal.throwIfAborted();
  const ffmpeg = await findFfmpeg(settings.ffmpeg, signal);
  const input = await openSource(checkString('source', source), settings.format);
  await checkOutput(settings.output, input);
  try {
    yield* run(detector, ffmpeg, input, settings, signal);
  } finally {
    end.abort();
  }
}

async function* run(
  detector: FrameDetector,
  ffmpeg: Ffmpeg,
  input: VideoSource,
  settings: VideoSettings,
  signal: AbortSignal,
): AsyncGenerator<VideoFrame, void, void> {
  const { output, stallSeconds, batchSize, stop } = settings;
  const info = await probeVideo(ffmpeg, input, { stallSeconds, signal });
  settings.onStart?.(publicInfo(info));
  const writer =
    output === undefined ? undefined : await FrameWriter.open(output, ffmpeg, info, { stallSeconds, signal });
  const reader = new FrameReader(ffmpeg, input, info, { stallSeconds, signal });
  const onStop = () => void reader.stop();
  stop?.addEventListener('abort', onStop, { once: true });
  if (stop?.aborted) onStop();
  const speed = new Speedometer();
  const frames = new ReadAhead(reader.read(), batchSize, info.isLive);
  const detected = new ReadAhead(detectBatches(detector, frames, settings, info.isLive, speed), 1);
  let isFinished = false;
  try {
    const end = yield* handOut(detected, writer, settings, signal);
    const { error, warning } = stop?.aborted ? {} : await reader.outcome();
    if (warning !== undefined) settings.onWarning?.(warning);
    if (end.frames > 0) {
      const isCut = stop?.aborted || error || warning !== undefined;
      await finish(writer, input, info, isCut ? end.timestamp + 1 / info.frameRate : undefined, settings);
      isFinished = true;
    }
    if (error) throw isFinished && output !== undefined ? withOutput(error, output) : error;
    settings.onEnd?.(speed.summary(end.frames, frames.dropped));
  } finally {
    stop?.removeEventListener('abort', onStop);
    const discarded = isFinished ? undefined : writer?.discard();
    await Promise.all([reader.stop(), discarded, frames.stop(), detected.stop()]);
  }
}

/** Draws, writes and yields the detected frames, and counts them. */
async function* handOut(
  detected: AsyncIterable<DetectedFrame[]>,
  writer: FrameWriter | undefined,
  { images, onFrame, stop }: VideoSettings,
  signal: AbortSignal,
): AsyncGenerator<VideoFrame, { frames: number; timestamp: number }, void> {
  const end = { frames: 0, timestamp: 0 };
  for await (const batch of detected) {
    const drawn = await Promise.all(
      writer ? batch.map(({ image, detections }) => drawDetections(image, detections)) : [],
    );
    for (const [i, { frame, timestamp, detections, image }] of batch.entries()) {
      signal.throwIfAborted();
      if (stop?.aborted) return end;
      await writer?.write(drawn[i]!, timestamp);
      end.frames++;
      end.timestamp = timestamp;
      // A copy, because the reader may change the pixels before the encoder has read them.
      const pixels = images && drawn[i] === image ? { ...image, data: image.data.slice() } : image;
      const result = { frame, timestamp, detections, ...(images && { image: pixels }) };
      onFrame?.(result);
      yield result;
    }
  }
  signal.throwIfAborted();
  return end;
}

/** Finishes the output file. A live source has no audio left by then. */
async function finish(
  writer: FrameWriter | undefined,
  input: VideoSource,
  { audio, isLive }: VideoInfo,
  seconds: number | undefined,
  { onWarning }: VideoSettings,
): Promise<void> {
  if (!writer) return;
  const warning = await writer.finish(audio === undefined || isLive ? undefined : input, seconds);
  if (audio !== undefined && isLive) onWarning?.(`${input.name} is live: its audio was not recorded`);
  if (warning !== undefined) onWarning?.(warning);
}

/** Yields batches of frames with their detections. It tracks and smooths the detections if the options say so. */
async function* detectBatches(
  detector: FrameDetector,
  frames: ReadAhead<RawFrame>,
  { batchSize, scoreThreshold, maxDetections, smooth, track }: VideoSettings,
  isLive: boolean,
  speed: Speedometer,
): AsyncGenerator<DetectedFrame[]> {
  const following: TrackerOptions = { minIou: MIN_IOU, maxAge: MAX_AGE, smoothing: smooth, scoreThreshold };
  // A score may vary around the threshold; its average needs the frames below the threshold too.
  const limits = { scoreThreshold: smooth > 0 ? scoreThreshold / 2 : scoreThreshold, maxDetections, batchSize };
  let tracks = noTracks;
  const follow = (detections: Detection[]): VideoDetection[] => {
    if (!track && smooth === 0) return detections;
    tracks = updateTracks(tracks, detections, following);
    const visible = visibleTracks(tracks, following).slice(0, maxDetections);
    return track ? visible : visible.map(({ id: _, ...detection }) => detection);
  };
  for (;;) {
    const batch = await frames.take(isLive ? 1 : batchSize, batchSize);
    if (batch.length === 0) return;
    const images = batch.map(({ image }) => image);
    const found = await speed.measure(batch.length, () => detector.detect(images, limits));
    yield batch.map((frame, i) => ({ ...frame, detections: follow(found[i]!) }));
  }
}

function withOutput({ code, message }: DetectorError, output: string): DetectorError {
  return new DetectorError(code, `${message}. ${output} has the frames before that`);
}

/** Checks that the output file is not the source under another name. */
async function checkOutput(output: string | undefined, { path, name }: VideoSource): Promise<void> {
  if (output === undefined || path === undefined) return;
  const [source, target] = await Promise.all([stat(path), stat(output).catch(() => undefined)]);
  if (target && target.ino === source.ino && target.dev === source.dev)
    throw new RangeError(`Expected a file other than the source ${name} for output`);
}

function publicInfo({ width, height, frameRate, frames, seconds, audio, isLive }: VideoInfo): VideoInfo {
  return { width, height, frameRate, frames, seconds, audio, isLive };
}
