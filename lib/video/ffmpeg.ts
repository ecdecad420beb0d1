import { basename, dirname, join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import { runToEnd } from './child-program.ts';

/** A working ffmpeg, with the ffprobe beside it. */
export interface Ffmpeg {
  ffmpeg: string;
  ffprobe: string;
  /** The version that ffmpeg prints, for example `5.1.9-0+deb12u1`. */
  version: string;
  /** True from 5.1 on. Older versions, down to 4.0, have other names for some options. */
  isRecent: boolean;
}

const INSTALL: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'apt-get install ffmpeg (Debian, Ubuntu), or dnf install ffmpeg-free (Fedora)',
  darwin: 'brew install ffmpeg',
  win32: 'winget install Gyan.FFmpeg',
};
const ANSWER_SECONDS = 20;

/**
 * Finds ffmpeg: the one of `path`, else of the environment variable `DINOV3_DET_FFMPEG`, else of the system. ffprobe must lie beside it.
 * @throws {DetectorError} `FFMPEG_NOT_FOUND` if one of the two does not run; the message says how to install it
 */
export async function findFfmpeg(
  path = process.env.DINOV3_DET_FFMPEG || 'ffmpeg',
  signal?: AbortSignal,
): Promise<Ffmpeg> {
  const ffprobe = join(dirname(path), basename(path).replace(/ffmpeg/i, 'ffprobe'));
  const programs = {
    ffmpeg: path,
    ffprobe: dirname(path) === '.' && !path.startsWith('.') ? basename(ffprobe) : ffprobe,
  };
  const version = await askVersion('ffmpeg', programs.ffmpeg, signal);
  await askVersion('ffprobe', programs.ffprobe, signal);
  return { ...programs, version, isRecent: isAtLeast(version, 5, 1) };
}

/** The names of the encoders in this build of ffmpeg. */
export async function listEncoders({ ffmpeg }: Ffmpeg, signal?: AbortSignal): Promise<Set<string>> {
  const { output } = await runToEnd(ffmpeg, ['-hide_banner', '-encoders'], ANSWER_SECONDS, signal);
  return new Set([...output.matchAll(/^ [VAS][A-Z.]{5} (\S+)/gm)].map(([, name]) => name!));
}

async function askVersion(name: string, path: string, signal?: AbortSignal): Promise<string> {
  const { output, ending, complaint } = await runToEnd(path, ['-hide_banner', '-version'], ANSWER_SECONDS, signal);
  const version = new RegExp(`^${name} version (\\S+)`, 'm').exec(output)?.[1];
  if (ending === 0 && version !== undefined) return version;
  const found = ending === 'ENOENT' ? 'it was not found' : `it ended with ${ending}${complaint && `: ${complaint}`}`;
  const how = INSTALL[process.platform] ?? 'https://ffmpeg.org/download.html';
  throw new DetectorError(
    'FFMPEG_NOT_FOUND',
    `Video needs ffmpeg and ffprobe, but ${path} does not run: ${found}. Install them with ${how}, or name the program with ` +
      '--ffmpeg or DINOV3_DET_FFMPEG',
  );
}

/** Compares versions. A build from a checkout ("N-109542-g...", "git-2023-...") counts as recent. */
function isAtLeast(version: string, major: number, minor: number): boolean {
  const numbers = /^n?(\d+)\.(\d+)/.exec(version);
  if (!numbers) return true;
  return Number(numbers[1]) > major || (Number(numbers[1]) === major && Number(numbers[2]) >= minor);
}
