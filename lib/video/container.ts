import { extname } from 'node:path';
import { DetectorError } from '../base/errors.ts';

/** A video file format for output. */
export interface Container {
  /** The name of the format in ffmpeg. */
  format: string;
  /** The encoders in order of preference. The build of ffmpeg decides which of them exist. */
  videoEncoders: readonly string[];
  /** The encoder for audio that the format cannot hold as it is. */
  audioEncoder: string;
}

const H264 = ['libx264', 'libopenh264', 'mpeg4'];

const containers: Record<string, Container> = {
  '.mp4': { format: 'mp4', videoEncoders: H264, audioEncoder: 'aac' },
  '.m4v': { format: 'mp4', videoEncoders: H264, audioEncoder: 'aac' },
  '.mov': { format: 'mov', videoEncoders: H264, audioEncoder: 'aac' },
  '.mkv': { format: 'matroska', videoEncoders: H264, audioEncoder: 'aac' },
  '.webm': { format: 'webm', videoEncoders: ['libvpx-vp9', 'libvpx'], audioEncoder: 'libopus' },
};

/** Options for good quality at a speed that leaves the processor to the model. */
const QUALITY: Record<string, readonly string[]> = {
  libx264: ['-preset', 'veryfast', '-crf', '20'],
  libopenh264: ['-b:v', '6M'],
  mpeg4: ['-q:v', '3'],
  'libvpx-vp9': ['-deadline', 'realtime', '-cpu-used', '6', '-row-mt', '1', '-crf', '30', '-b:v', '0'],
  libvpx: ['-deadline', 'realtime', '-cpu-used', '6', '-crf', '10', '-b:v', '6M'],
};

/** The largest number of ticks per second in MPEG-4 part 2. */
const MAX_MPEG4_TICKS = 65_535;

/** Finds the format by the extension of a file name. @throws {RangeError} for an unknown extension */
export function containerOf(path: string): Container {
  const container = containers[extname(path).toLowerCase()];
  if (container) return container;
  const endings = Object.keys(containers).join(', ');
  throw new RangeError(`Expected a file name that ends in ${endings} for output but received ${JSON.stringify(path)}`);
}

/**
 * The arguments of ffmpeg for the best available encoder, with the clock of the source.
 * @throws {DetectorError} `FFMPEG_FAILED` if no encoder is available
 */
export function videoEncoderArgs(
  { format, videoEncoders }: Container,
  available: ReadonlySet<string>,
  timeBase: string,
): string[] {
  const encoder = videoEncoders.find((name) => available.has(name));
  if (encoder === undefined) {
    throw new DetectorError(
      'FFMPEG_FAILED',
      `This ffmpeg cannot write ${format}: it was built without ${videoEncoders.join(', ')}. Install another ffmpeg, or choose another file extension`,
    );
  }
  const [numerator, ticks] = timeBase.split('/').map(Number) as [number, number];
  const isTooFine = encoder === 'mpeg4' && ticks > MAX_MPEG4_TICKS;
  const clock = isTooFine ? `1:${MAX_MPEG4_TICKS}` : `${numerator}:${ticks}`;
  return ['-c:v', encoder, ...QUALITY[encoder]!, '-enc_time_base', clock];
}
