import { DetectorError } from '../base/errors.ts';
import type { RgbImage } from '../images/image.ts';
import { ChildProgram, within } from './child-program.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import { FrameClock } from './frame-clock.ts';
import type { ProbedVideo } from './probe.ts';
import type { VideoSource } from './source.ts';

/** A decoded frame. */
export interface RawFrame {
  /** The number of the frame, from 0. */
  frame: number;
  /** The time from the beginning of the source, in seconds. */
  timestamp: number;
  image: RgbImage;
}

export interface FrameReaderOptions {
  /** The seconds without a frame after which the source has stalled. */
  stallSeconds: number;
  signal: AbortSignal;
}

/** Decodes a source: every frame of it, upright, with its own time. */
export class FrameReader {
  /** The number of frames that were read completely. */
  frames = 0;
  readonly #source: VideoSource;
  readonly #info: ProbedVideo;
  readonly #options: FrameReaderOptions;
  readonly #decoder: ChildProgram;
  readonly #clock: FrameClock;
  #lastTime = 0;
  #hasStalled = false;

  constructor(ffmpeg: Ffmpeg, source: VideoSource, info: ProbedVideo, options: FrameReaderOptions) {
    this.#source = source;
    this.#info = info;
    this.#options = options;
    this.#clock = new FrameClock(info.frameRate);
    this.#decoder = new ChildProgram(ffmpeg.ffmpeg, decoderArgs(ffmpeg, source, info), {
      signal: options.signal,
      onLine: (line) => this.#clock.read(line),
    });
    this.#decoder.stdin.end();
    void this.#decoder.ended.then(() => this.#clock.end());
  }

  /** The frames up to the end of the source, or up to its failure: `outcome` tells which. */
  async *read(): AsyncGenerator<RawFrame> {
    const { width, height } = this.#info;
    for await (const data of this.#readBlocks(3 * width * height)) {
      const timestamp = await this.#orStall(this.#clock.next());
      if (this.#decoder.isKilled) return;
      this.#lastTime = timestamp;
      yield { frame: this.frames++, timestamp, image: { data, width, height } };
    }
  }

  /** Stops reading. Resolves when the decoder has ended. */
  async stop(): Promise<void> {
    this.#decoder.kill();
    await this.#decoder.ended;
  }

  /** The outcome of reading. An error if the source broke off; a warning if the video is shorter than it says or has damaged frames. */
  async outcome(): Promise<{ error?: DetectorError; warning?: string }> {
    const ending = await this.#decoder.ended;
    const { name } = this.#source;
    const after = `after ${this.frames} frames (${this.#lastTime.toFixed(2)} s)`;
    const complaint = this.#decoder.complaint.replaceAll(this.#source.args.at(-1)!, name);
    if (this.#hasStalled) {
      const message = `${name} stalled: no frame came for ${this.#options.stallSeconds} s ${after}. Check that the source is available`;
      return { error: new DetectorError('VIDEO_STALLED', message) };
    }
    if (this.frames === 0)
      return {
        error: new DetectorError(
          'VIDEO_UNREADABLE',
          `No frame of ${name} can be decoded${complaint && `: ${complaint}`}`,
        ),
      };
    if (ending !== 0) {
      const message = `ffmpeg ended with ${ending} while it read ${name}, ${after}${complaint && `: ${complaint}`}`;
      return { error: new DetectorError('FFMPEG_FAILED', message) };
    }
    const { seconds, frameRate } = this.#info;
    const missing = seconds === undefined ? 0 : seconds - this.#lastTime - 1 / frameRate;
    if (complaint === '' && missing <= Math.max(1, 0.05 * (seconds ?? 0))) return {};
    const length = missing > 1 ? ` of ${seconds!.toFixed(2)} s` : '';
    return {
      warning: `${name} is damaged or cut short: it ended ${after}${length}${complaint && `; ffmpeg says: ${complaint}`}`,
    };
  }

  /** Cuts standard output into blocks of `bytes` bytes. An incomplete last block is dropped. */
  async *#readBlocks(bytes: number): AsyncGenerator<Uint8Array> {
    const chunks: AsyncIterator<Buffer> = this.#decoder.stdout[Symbol.asyncIterator]();
    let block = Buffer.allocUnsafeSlow(bytes); // new memory for each block, because the caller keeps it
    let filled = 0;
    for (;;) {
      const next = await this.#orStall(chunks.next()).catch(() => undefined); // the pipe was closed
      if (next === undefined || next.done) return;
      const chunk = next.value;
      for (let begin = 0; begin < chunk.length; ) {
        const copied = chunk.copy(block, filled, begin);
        begin += copied;
        filled += copied;
        if (filled < bytes) continue;
        yield new Uint8Array(block.buffer);
        block = Buffer.allocUnsafeSlow(bytes);
        filled = 0;
      }
    }
  }

  #orStall<T>(work: Promise<T>): Promise<T> {
    return within(this.#options.stallSeconds, work, () => {
      this.#hasStalled = true;
      this.#decoder.kill();
    });
  }
}

/** The arguments of ffmpeg. `scale` keeps the frame size if the video changes its own. `showinfo` logs the times. */
function decoderArgs({ isRecent }: Ffmpeg, source: VideoSource, video: ProbedVideo): string[] {
  const { streamIndex, width, height } = video;
  const [showInfo, everyFrame] = isRecent ? ['showinfo=checksum=0', '-fps_mode'] : ['showinfo', '-vsync'];
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+info', ...source.args],
    ...['-map', `0:v:${streamIndex}`, '-vf', `scale=${width}:${height},${showInfo}`, everyFrame, 'passthrough'],
    ...['-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1'],
  ];
}
