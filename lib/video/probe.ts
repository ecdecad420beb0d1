import { DetectorError } from '../base/errors.ts';
import { MAX_IMAGE_PIXELS } from '../images/limits.ts';
import { runToEnd } from './child-program.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import type { VideoSource } from './source.ts';

/** What is known of a video before its first frame. */
export interface VideoInfo {
  /** Of the frames as they are shown: a video that says that it is to be rotated is rotated. */
  width: number;
  height: number;
  /** Frames per second on average, where the video says so; else 25. */
  frameRate: number;
  /** About so many frames, for progress; undefined for a live source, and where nobody knows. */
  frames: number | undefined;
  seconds: number | undefined;
  /** The codec of its first audio track. */
  audio: string | undefined;
  isLive: boolean;
}

/** What reading the video and writing one like it need besides. */
export interface ProbedVideo extends VideoInfo {
  /** Its place among the video streams. */
  streamIndex: number;
  /** A tick of its clock in seconds, as "1/30000". */
  timeBase: string;
  /** The form of a pixel, as "1/1". */
  pixelAspect: string;
  /** ffmpeg's names; undefined where the video does not say. */
  colour: { space: string | undefined; primaries: string | undefined; transfer: string | undefined };
}

/** The part of ffprobe's answer that is looked at. */
interface ProbedStream {
  codec_type?: string;
  codec_name?: string;
  width?: number;
  height?: number;
  avg_frame_rate?: string;
  r_frame_rate?: string;
  time_base?: string;
  nb_frames?: string;
  duration?: string;
  sample_aspect_ratio?: string;
  color_space?: string;
  color_primaries?: string;
  color_transfer?: string;
  tags?: { rotate?: string };
  disposition?: { attached_pic?: number };
  side_data_list?: { rotation?: number }[];
}

const ENTRIES = [
  'stream=codec_type,codec_name,width,height,avg_frame_rate,r_frame_rate,time_base,nb_frames,duration,sample_aspect_ratio',
  'stream=color_space,color_primaries,color_transfer',
  'stream_tags=rotate',
  'stream_disposition=attached_pic',
  'stream_side_data=rotation',
  'format=duration',
].join(':');

/**
 * Asks ffprobe what the source is.
 *
 * Rejects with `VIDEO_UNREADABLE` for what is no video, has none, or has too large a one, `VIDEO_STALLED` where no answer comes.
 */
export async function probeVideo(
  { ffprobe }: Ffmpeg,
  source: VideoSource,
  { stallSeconds, signal }: { stallSeconds: number; signal?: AbortSignal | undefined },
): Promise<ProbedVideo> {
  const args = ['-hide_banner', '-loglevel', 'level+error', '-of', 'json', '-show_entries', ENTRIES, ...source.args];
  const { output, ending, complaint } = await runToEnd(ffprobe, args, stallSeconds, signal);
  const url = source.args.at(-1)!;
  const why = complaint.replaceAll(`${url}: `, '').replaceAll(url, source.name);
  if (typeof ending === 'string')
    throw new DetectorError(
      'VIDEO_STALLED',
      `Cannot read ${source.name}: ffprobe gave ${ending}. Is the source there?`,
    );
  if (ending !== 0) throw unreadable(source, why || `ffprobe ended with ${ending}`);
  return describeVideo(JSON.parse(output), source, why);
}

/** Reads ffprobe's JSON. */
export function describeVideo(
  { streams = [], format = {} }: { streams?: ProbedStream[]; format?: { duration?: string } },
  source: VideoSource,
  complaint = '',
): ProbedVideo {
  const videos = streams.filter(({ codec_type }) => codec_type === 'video');
  const streamIndex = videos.findIndex(({ disposition }) => disposition?.attached_pic !== 1);
  const video = videos[streamIndex];
  if (!video) {
    const kinds = streams.map(({ codec_type, codec_name }) => `${codec_type} ${codec_name ?? ''}`.trim()).join(', ');
    throw unreadable(source, `it has no video, only ${kinds || 'nothing that can be read'}`);
  }
  const { width: columns = 0, height: rows = 0 } = video;
  if (columns < 1 || rows < 1) throw unreadable(source, `its frames have no size${complaint && `: ${complaint}`}`);
  if (columns * rows > MAX_IMAGE_PIXELS)
    throw unreadable(source, `its frames of ${columns} x ${rows} are more than ${MAX_IMAGE_PIXELS / 1e6} megapixels`);
  const isTurned = quarterTurns(video) % 2 === 1;
  const seconds = positive(video.duration) ?? positive(format.duration);
  const frameRate = ratio(video.avg_frame_rate) ?? ratio(video.r_frame_rate) ?? 25;
  const isLive = source.isLive || (source.path === undefined && seconds === undefined);
  return {
    streamIndex,
    width: isTurned ? rows : columns,
    height: isTurned ? columns : rows,
    frameRate,
    seconds: isLive ? undefined : seconds,
    frames: isLive ? undefined : (positive(video.nb_frames) ?? (seconds && Math.round(seconds * frameRate))),
    audio: streams.find(({ codec_type }) => codec_type === 'audio')?.codec_name,
    isLive,
    timeBase: ratio(video.time_base) ? video.time_base! : '1/90000',
    pixelAspect: pixelAspect(video, isTurned),
    colour: {
      space: known(video.color_space),
      primaries: known(video.color_primaries),
      transfer: known(video.color_transfer),
    },
  };
}

/** ffmpeg turns such frames upright by itself; by the display matrix, or in old versions a tag. */
function quarterTurns({ side_data_list = [], tags }: ProbedStream): number {
  const rotation = side_data_list.find((data) => data.rotation !== undefined)?.rotation ?? Number(tags?.rotate ?? 0);
  return Number.isFinite(rotation) ? Math.abs(Math.round(rotation / 90)) : 0;
}

function pixelAspect({ sample_aspect_ratio = '' }: ProbedStream, isTurned: boolean): string {
  const [, x, y] = /^([1-9]\d*):([1-9]\d*)$/.exec(sample_aspect_ratio) ?? [undefined, '1', '1'];
  return isTurned ? `${y}/${x}` : `${x}/${y}`;
}

/** "30000/1001" as a number; undefined for "0/0". */
function ratio(text = ''): number | undefined {
  const [numerator, denominator] = text.split('/').map(Number);
  return positive(String(numerator! / denominator!));
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return value > 0 && value < Number.POSITIVE_INFINITY ? value : undefined;
}

function known(name: string | undefined): string | undefined {
  return name === undefined || !/^[a-z0-9-]+$/.test(name) || name === 'unknown' ? undefined : name;
}

function unreadable({ name }: VideoSource, why: string): DetectorError {
  return new DetectorError(
    'VIDEO_UNREADABLE',
    `Cannot read ${name} as a video: ${why}. Expected a file or stream with video that ffmpeg can read`,
  );
}
