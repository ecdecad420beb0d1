import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';

/** Where a video comes from, as ffmpeg takes it. */
export interface VideoSource {
  /** For people: the source without a password. */
  name: string;
  /** The arguments that open it, `-i` included. */
  args: readonly string[];
  /** Of a file, its path. */
  path?: string;
  /** It goes on whether its frames are taken or not: a camera, or a stream. */
  isLive: boolean;
}

/** ffmpeg follows what a playlist names: of a stream that must never be a file, and of a file nothing at all. */
const NETWORK_PROTOCOLS = 'http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtmp,rtmps,rtmpt,rtmpts,srt,crypto,data';
/** Containers that hold their frames themselves: no playlists (hls, dash, concat), no patterns of images (image2). */
const FILE_FORMATS =
  'mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,mxf,gif,apng,ivf,dv,nut,rm,wtv,nsv,gxf,yuv4mpegpipe,h264,hevc,av1,obu,m4v,mjpeg,vc1,h263,h261';
const STREAMING = ['rtsp', 'rtsps', 'rtmp', 'rtmps', 'udp', 'rtp', 'srt', 'tcp'];
const SCHEMES = ['http', 'https', ...STREAMING];
/** Two letters at least: a single one is a drive of Windows. */
const URL_SCHEME = /^([a-z][a-z0-9+.-]+):\/\//i;

/**
 * Tells what a source is: a URL by its scheme, a camera by its `format` (ffmpeg's name for the input, such as `v4l2`,
 * `avfoundation`, `dshow`) or its path `/dev/video0`, anything else is a file.
 *
 * Rejects with `VIDEO_UNREADABLE` for a file that is not there, a directory, or an empty file, with `RangeError` for another scheme.
 */
export async function openSource(source: string, format?: string): Promise<VideoSource> {
  const scheme = URL_SCHEME.exec(source)?.[1]?.toLowerCase();
  const forced = format === undefined ? [] : ['-f', format];
  if (scheme !== undefined && scheme !== 'file') {
    if (!SCHEMES.includes(scheme)) {
      throw new RangeError(wrongArgument('source', `a file, a camera, or a URL of ${SCHEMES.join(', ')}`, source));
    }
    // UDP loses packets where TCP would wait.
    const transport = scheme.startsWith('rtsp') ? ['-rtsp_flags', 'prefer_tcp'] : [];
    const args = ['-protocol_whitelist', NETWORK_PROTOCOLS, ...transport, ...forced, '-i', source];
    return { name: withoutPassword(source), args, isLive: STREAMING.includes(scheme) };
  }
  const path = resolve(scheme === 'file' ? fileURLToPath(source) : source);
  const isFile = await isRegularFile(path);
  if (format !== undefined && !isFile) return { name: source, args: [...forced, '-i', source], isLive: true };
  if (/^\/dev\/video\d+$/.test(path)) return { name: source, args: ['-f', 'v4l2', '-i', path], isLive: true };
  await checkFile(source, path);
  const args = ['-protocol_whitelist', 'file', '-format_whitelist', FILE_FORMATS, ...forced, '-i', `file:${path}`];
  return { name: source, args, path, isLive: false };
}

async function isRegularFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function checkFile(name: string, path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'it does not exist' : messageOf(error);
    throw new DetectorError('VIDEO_UNREADABLE', `Cannot read ${name}: ${why}`, { cause: error });
  });
  if (found.isDirectory())
    throw new DetectorError('VIDEO_UNREADABLE', `Cannot read ${name}: it is a directory. Name a video file`);
  if (found.isFile() && found.size === 0)
    throw new DetectorError('VIDEO_UNREADABLE', `Cannot read ${name}: it is empty (0 bytes)`);
}

/** "rtsp://user:secret@host/path" as "rtsp://host/path". */
function withoutPassword(url: string): string {
  return url.replace(/^([^/]+:\/\/)[^/@]*@/, '$1');
}
