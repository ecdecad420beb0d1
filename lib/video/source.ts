import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wrongArgument } from '../base/check.ts';
import { DetectorError, messageOf } from '../base/errors.ts';

/** The source of a video, as ffmpeg takes it. */
export interface VideoSource {
  /** The source without its password, for messages. */
  name: string;
  /** The arguments that open the source, `-i` included. */
  args: readonly string[];
  /** The path, if the source is a file. */
  path?: string;
  /** True for a camera or a live stream: it continues whether its frames are read or not. */
  isLive: boolean;
}

/** The protocols that ffmpeg may follow from a playlist: never a file for a stream, and nothing for a file. */
const NETWORK_PROTOCOLS = 'http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtmp,rtmps,rtmpt,rtmpts,srt,crypto,data';
/** The containers that hold their own frames. Playlists (hls, dash, concat) and image patterns (image2) are excluded. */
const FILE_FORMATS =
  'mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,mxf,gif,apng,ivf,dv,nut,rm,wtv,nsv,gxf,yuv4mpegpipe,h264,hevc,av1,obu,m4v,mjpeg,vc1,h263,h261';
const STREAMING = ['rtsp', 'rtsps', 'rtmp', 'rtmps', 'udp', 'rtp', 'srt', 'tcp'];
const SCHEMES = ['http', 'https', ...STREAMING];
/** A URL scheme of at least two letters, because a single letter is a drive of Windows. */
const URL_SCHEME = /^([a-z][a-z0-9+.-]+):\/\//i;

/**
 * Identifies a source: a URL by its scheme, a camera by its `format` or a path such as `/dev/video0`. Anything else is a file. `format` is
 * ffmpeg's name for the input, such as `v4l2`, `avfoundation`, `dshow`.
 * @throws {DetectorError} `VIDEO_UNREADABLE` for a missing file, a directory or an empty file
 * @throws {RangeError} for an unknown scheme
 */
export async function openSource(source: string, format?: string): Promise<VideoSource> {
  const scheme = URL_SCHEME.exec(source)?.[1]?.toLowerCase();
  const forced = format === undefined ? [] : ['-f', format];
  if (scheme !== undefined && scheme !== 'file') {
    if (!SCHEMES.includes(scheme)) {
      throw new RangeError(wrongArgument('source', `a file, a camera, or a URL of ${SCHEMES.join(', ')}`, source));
    }
    // UDP loses packets; TCP waits for them.
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
    throw new DetectorError('VIDEO_UNREADABLE', `Cannot read ${name}: it is empty (0 bytes). Copy the file again`);
}

/** Removes the password of a URL: "rtsp://user:secret@host/path" becomes "rtsp://host/path". */
function withoutPassword(url: string): string {
  return url.replace(/^([^/]+:\/\/)[^/@]*@/, '$1');
}
