import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import { replaceFile } from '../files/atomic-file.ts';
import type { RgbImage } from '../images/image.ts';
import { ChildProgram, runToEnd, within } from './child-program.ts';
import { type Container, containerOf, videoEncoderArgs } from './container.ts';
import { type Ffmpeg, listEncoders } from './ffmpeg.ts';
import { frameHeader, matroskaHeader } from './matroska.ts';
import type { ProbedVideo } from './probe.ts';
import type { VideoSource } from './source.ts';

export interface FrameWriterOptions {
  /** The seconds after which an encoder that takes no frame has stalled. */
  stallSeconds: number;
  signal: AbortSignal;
}

/** The factor by which finishing may take longer than one frame: it flushes the encoder and copies the audio. */
const FINISH_FACTOR = 10;

/** The colour matrices: names of ffprobe to names of `scale`. */
const MATRICES: Record<string, string> = { bt709: 'bt709', smpte170m: 'bt601', bt470bg: 'bt601', bt2020nc: 'bt2020' };

/** Encodes frames into a video file. The file appears when `finish` resolves, complete or not at all. */
export class FrameWriter {
  readonly #path: string;
  readonly #ffmpeg: Ffmpeg;
  readonly #container: Container;
  readonly #options: FrameWriterOptions;
  readonly #done: Promise<void>;
  readonly #frameSeconds: number;
  #encoder: ChildProgram | undefined;
  #ready!: () => void;
  readonly #isReady = new Promise<void>((resolve) => {
    this.#ready = resolve;
  });
  #firstTime: number | undefined;
  #isFinishing = false;
  #audio: { source: VideoSource; seconds: number | undefined } | undefined;
  #warning: string | undefined;

  /**
   * Starts the encoder.
   * @throws {RangeError} for an unknown file extension
   * @throws {DetectorError} `FFMPEG_FAILED` if ffmpeg has no encoder for the format; `OUTPUT_NOT_WRITABLE`
   */
  static async open(
    path: string,
    ffmpeg: Ffmpeg,
    video: ProbedVideo,
    options: FrameWriterOptions,
  ): Promise<FrameWriter> {
    const container = containerOf(path);
    const encoder = videoEncoderArgs(container, await listEncoders(ffmpeg, options.signal), video.timeBase);
    const writer = new FrameWriter(path, ffmpeg, container, video, encoder, options);
    await Promise.race([writer.#isReady, writer.#done]);
    return writer;
  }

  private constructor(
    path: string,
    ffmpeg: Ffmpeg,
    container: Container,
    video: ProbedVideo,
    encoder: readonly string[],
    options: FrameWriterOptions,
  ) {
    this.#path = path;
    this.#ffmpeg = ffmpeg;
    this.#container = container;
    this.#options = options;
    this.#frameSeconds = 1 / video.frameRate;
    this.#done = replaceFile(path, (temporary) =>
      removedAtExit(temporary, () => this.#encode(temporary, video, encoder)),
    );
    this.#done.catch(() => {}); // `open`, `write` and `finish` report it
  }

  /** Resolves when the encoder can take another frame. `timestamp` is in seconds and must exceed the previous one. */
  async write({ data, width, height }: RgbImage, timestamp: number): Promise<void> {
    const { stdin } = this.#encoder!;
    if (this.#firstTime === undefined) {
      this.#firstTime = timestamp;
      stdin.write(matroskaHeader({ width, height, frameSeconds: this.#frameSeconds }));
    }
    stdin.write(frameHeader(timestamp - this.#firstTime, data.length));
    if (stdin.write(data)) return;
    const taken = Promise.race([once(stdin, 'drain').catch(() => this.#done), this.#done]);
    await within(this.#options.stallSeconds, taken, () => this.#encoder!.kill());
  }

  /**
   * Finishes the file with at most `seconds` of the audio of `source`. The audio is copied, or encoded if the container cannot hold it.
   * Resolves with a warning if there is no audio to use.
   */
  async finish(source?: VideoSource, seconds?: number): Promise<string | undefined> {
    this.#isFinishing = true;
    this.#audio = source && { source, seconds };
    this.#encoder!.stdin.end();
    await within(FINISH_FACTOR * this.#options.stallSeconds, this.#done, () => this.#encoder!.kill());
    return this.#warning;
  }

  /** Removes the unfinished file. */
  async discard(): Promise<void> {
    this.#encoder?.kill();
    await this.#done.catch(() => {});
  }

  async #encode(temporary: string, video: ProbedVideo, encoder: readonly string[]): Promise<void> {
    await writeFile(temporary, ''); // the system's message about the folder
    const { signal } = this.#options;
    this.#encoder = new ChildProgram(
      this.#ffmpeg.ffmpeg,
      [
        ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+error', '-y'],
        ...['-probesize', '32', '-analyzeduration', '0', '-f', 'matroska', '-i', 'pipe:0'],
        ...['-vf', filters(video), this.#ffmpeg.isRecent ? '-fps_mode' : '-vsync', 'vfr'],
        ...encoder,
        ...colourArgs(video),
        ...['-f', this.#container.format, fileUrl(temporary)],
      ],
      { signal },
    );
    this.#ready();
    const ending = await this.#encoder.ended;
    signal.throwIfAborted();
    const { isKilled, complaint } = this.#encoder;
    if (ending !== 0 || !this.#isFinishing) {
      const how = isKilled ? `took no frame for ${this.#options.stallSeconds} s` : `ended with ${ending}`;
      throw this.#failure(how, complaint, temporary);
    }
    if (this.#audio) this.#warning = await this.#addAudio(temporary, this.#audio.source, this.#audio.seconds);
  }

  /** Adds the audio. It begins with the file; the video may begin later. */
  async #addAudio(video: string, source: VideoSource, seconds: number | undefined): Promise<string | undefined> {
    const { signal, stallSeconds } = this.#options;
    const withAudio = audioName(video);
    const limit = seconds === undefined ? [] : ['-t', String(seconds)];
    try {
      let why = '';
      for (const encoder of ['copy', this.#container.audioEncoder]) {
        const args = [
          ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+error', '-y'],
          ...['-itsoffset', String(this.#firstTime ?? 0), '-i', fileUrl(video), ...source.args],
          ...['-map', '0:v', '-map', '1:a', '-c:v', 'copy', '-c:a', encoder, ...limit],
          ...['-f', this.#container.format, fileUrl(withAudio)],
        ];
        const { ending, complaint } = await runToEnd(this.#ffmpeg.ffmpeg, args, FINISH_FACTOR * stallSeconds, signal);
        if (ending === 0) {
          await rename(withAudio, video);
          return undefined;
        }
        why = complaint || `ffmpeg ended with ${ending}`;
      }
      return `The output file has no audio, because the audio of ${source.name} cannot be used: ${why}`;
    } finally {
      await rm(withAudio, { force: true });
    }
  }

  #failure(how: string, complaint: string, temporary: string): DetectorError {
    const said = complaint && `: ${complaint.replaceAll(fileUrl(temporary), this.#path)}`;
    return new DetectorError('OUTPUT_NOT_WRITABLE', `Cannot write ${this.#path}: ffmpeg ${how}${said}`);
  }
}

/** Runs `action`, and removes the file if the process exits meanwhile. */
async function removedAtExit(path: string, action: () => Promise<void>): Promise<void> {
  const remove = () => {
    for (const file of [path, audioName(path)]) rmSync(file, { force: true });
  };
  process.on('exit', remove);
  try {
    await action();
  } finally {
    process.off('exit', remove);
  }
}

function audioName(path: string): string {
  return `${path}.audio`;
}

/** The video filters. Players expect 4:2:0, which has even sides. A frame with an odd side gets a black line at the right or bottom. */
function filters({ width, height, pixelAspect, colour }: ProbedVideo): string {
  const pad = width % 2 || height % 2 ? ['pad=ceil(iw/2)*2:ceil(ih/2)*2'] : [];
  const matrix = MATRICES[colour.space ?? ''];
  const toYuv = matrix === undefined ? [] : [`scale=out_color_matrix=${matrix}:out_range=tv`];
  return [...pad, ...toYuv, 'format=yuv420p', `setsar=${pixelAspect}`].join(',');
}

/** The colour arguments. The output declares the colours of the source, because the decoder used them. */
function colourArgs({ colour: { space, primaries, transfer } }: ProbedVideo): string[] {
  if (space === undefined || MATRICES[space] === undefined) return [];
  return [
    ...['-colorspace', space, '-color_range', 'tv'],
    ...(primaries ? ['-color_primaries', primaries] : []),
    ...(transfer ? ['-color_trc', transfer] : []),
  ];
}

function fileUrl(path: string): string {
  return `file:${resolve(path)}`;
}
