import { basename, dirname, join } from 'node:path';
import { DetectorError } from '../base/errors.ts';
import { runToEnd } from './child-program.ts';

/** An ffmpeg that works, with the ffprobe beside it. */
export interface Ffmpeg {
  ffmpeg: string;
  ffprobe: string;
  /** As it says, for example `5.1.9-0+deb12u1`. */
  version: string;
  /** From 5.1 on; older ones, down to 4.0, know some options by other names. */
  isRecent: boolean;
}

const INSTALL: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'apt-get install ffmpeg (Debian, Ubuntu), or dnf install ffmpeg-free (Fedora)',
  darwin: 'brew install ffmpeg',
  win32: 'winget install Gyan.FFmpeg',
};
const ANSWER_SECONDS = 20;

/**
 * The ffmpeg of `path`, else that of the environment's `DINOV3_DET_FFMPEG`, else the system's. ffprobe is looked for beside it.
 *
 * Rejects with `FFMPEG_NOT_FOUND`, saying how to install it, where one of the two does not run.
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

/** The names of the encoders that it was built with. */
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
    `Video needs ffmpeg and ffprobe, and ${path} does not run: ${found}. Install them with ${how}, or name the program with ` +
      '--ffmpeg or DINOV3_DET_FFMPEG',
  );
}

/** A build from a checkout ("N-109542-g...", "git-2023-...") counts as recent. */
function isAtLeast(version: string, major: number, minor: number): boolean {
  const numbers = /^n?(\d+)\.(\d+)/.exec(version);
  if (!numbers) return true;
  return Number(numbers[1]) > major || (Number(numbers[1]) === major && Number(numbers[2]) >= minor);
}
