import { DetectorError } from '../base/errors.ts';
import { runToEnd } from './child-program.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import type { VideoSource } from './source.ts';

/** The largest frame in pixels. The limit is low because many frames are in memory at a time. */
const MAX_FRAME_PIXELS = 50e6;

/** The properties of a video that are known before its first frame. */
export interface VideoInfo {
  /** The width of a frame as it is shown, in pixels. A rotated video is turned upright. */
  width: number;
  height: number;
  /** The average number of frames per second; 25 if the video does not say. */
  frameRate: number;
  /** The approximate number of frames, for progress. It is undefined for a live source, and if it is unknown. */
  frames: number | undefined;
  seconds: number | undefined;
  /** The codec of the first audio track. */
  audio: string | undefined;
  isLive: boolean;
}

/** Further properties for reading the video and writing a similar one. */
export interface ProbedVideo extends VideoInfo {
  /** The position of the stream among the video streams. */
  streamIndex: number;
  /** The tick of the video's clock in seconds, for example "1/30000". */
  timeBase: string;
  /** The aspect ratio of a pixel, for example "1/1". */
  pixelAspect: string;
  /** The colours by ffmpeg's names; undefined if the video does not say. */
  colour: { space: string | undefined; primaries: string | undefined; transfer: string | undefined };
}

/** The fields of ffprobe's answer that are used. */
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
 * Asks ffprobe for the properties of a source.
 * @throws {DetectorError} `VIDEO_UNREADABLE` for a source without video, or with too large a video; `VIDEO_STALLED` if no answer comes
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
      `Cannot read ${source.name}: ffprobe gave ${ending}. Check that the source is available`,
    );
  if (ending !== 0) throw unreadable(source, why || `ffprobe ended with ${ending}`);
  return describeVideo(JSON.parse(output), source, why);
}

/** Reads the JSON of ffprobe. */
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
  if (columns * rows > MAX_FRAME_PIXELS)
    throw unreadable(source, `its frames of ${columns} x ${rows} are more than ${MAX_FRAME_PIXELS / 1e6} megapixels`);
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

/** The rotation in quarter turns, from the display matrix or, in old versions, a tag. ffmpeg itself turns the frames upright. */
function quarterTurns({ side_data_list = [], tags }: ProbedStream): number {
  const rotation = side_data_list.find((data) => data.rotation !== undefined)?.rotation ?? Number(tags?.rotate ?? 0);
  return Number.isFinite(rotation) ? Math.abs(Math.round(rotation / 90)) : 0;
}

function pixelAspect({ sample_aspect_ratio = '' }: ProbedStream, isTurned: boolean): string {
  const [, x, y] = /^([1-9]\d*):([1-9]\d*)$/.exec(sample_aspect_ratio) ?? [undefined, '1', '1'];
  return isTurned ? `${y}/${x}` : `${x}/${y}`;
}

/** Converts "30000/1001" to a number; undefined for "0/0". */
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
