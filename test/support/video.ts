import { execFile, execFileSync } from 'node:child_process';
import { chmod, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Detector } from '../../lib/detector/detector.ts';
import type { VideoFrame, VideoOptions, VideoSummary } from '../../lib/video/options.ts';
import type { VideoInfo } from '../../lib/video/probe.ts';
import { writeFiles } from './voc.ts';

const run = promisify(execFile);

/** Tests that need ffmpeg are skipped where it is missing; `.ci/run` installs it. */
export const hasFfmpeg = (() => {
  try {
    return execFileSync('ffmpeg', ['-version']).length > 0 && execFileSync('ffprobe', ['-version']).length > 0;
  } catch {
    return false;
  }
})();

/** For the titles of tests that are skipped without it. */
export const needsFfmpeg = hasFfmpeg ? '' : ' (skipped: needs ffmpeg and ffprobe)';

/** Runs ffmpeg, `args` divided by spaces. */
export async function ffmpeg(args: string, ...more: string[]): Promise<void> {
  await run('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args.split(' '), ...more]);
}

/** A moving test image of that many frames; `args` say how it is encoded. */
export async function writeClip(
  path: string,
  { size = '64x64', rate = '10', frames = 10, args = '-c:v libx264 -pix_fmt yuv420p' } = {},
): Promise<string> {
  await ffmpeg(`-f lavfi -i testsrc=size=${size}:rate=${rate} -frames:v ${frames} ${args}`, path);
  return path;
}

/** The streams of a video file, by ffprobe, with the times of the frames that are shown, in seconds. */
// biome-ignore lint/suspicious/noExplicitAny: ffprobe's own form
export async function probeFile(path: string): Promise<{ streams: any[]; times: number[] }> {
  const json = ['-v', 'error', '-of', 'json'];
  const { stdout } = await run('ffprobe', [...json, '-show_streams', path]);
  const frames = await run('ffprobe', [...json, '-select_streams', 'v:0', '-show_entries', 'frame=pts_time', path]);
  const times = JSON.parse(frames.stdout).frames.map(({ pts_time }: { pts_time: string }) => Number(pts_time));
  return { streams: JSON.parse(stdout).streams, times };
}

/**
 * A folder's `ffmpeg` that behaves by these shell commands where it decodes or encodes a video, and else is the real one.
 * In them `real` is what the real one would be run with.
 */
export async function fakeFfmpeg(
  folder: string,
  { decode = '"$@"', encode = '"$@"', probe = '"$@"' },
): Promise<string> {
  const script = (name: string, cases: string) =>
    `#!/bin/sh\nset -- ${name} "$@"\ncase "$*" in\n${cases}\n*) exec "$@";;\nesac\n`;
  await writeFiles(folder, {
    'bin/ffmpeg': script('ffmpeg', `*rawvideo*) ${decode};;\n*pipe:0*) ${encode};;`),
    'bin/ffprobe': script('ffprobe', `*-version*) exec "$@";;\n*show_entries*) ${probe};;`),
  });
  for (const name of ['ffmpeg', 'ffprobe']) await chmod(join(folder, 'bin', name), 0o755);
  return join(folder, 'bin', 'ffmpeg');
}

/** The processes, zombies too, that this one or the one given has started and that are still there (Linux). */
export async function childProcesses(pid = process.pid): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    if (Number(status.slice(status.lastIndexOf(')') + 1).split(' ')[2]) === pid) found.push(Number(name));
  }
  return found;
}

export interface Watched {
  frames: VideoFrame[];
  info: VideoInfo | undefined;
  summary: VideoSummary | undefined;
  warnings: string[];
}

/** All that comes of a source; `seen` shows what came before an error. */
export async function watchVideo(
  detector: Detector,
  source: string,
  options: VideoOptions = {},
  seen: Watched = { frames: [], info: undefined, summary: undefined, warnings: [] },
): Promise<Watched> {
  const hooks: VideoOptions = {
    onStart: (info) => {
      seen.info = info;
    },
    onEnd: (summary) => {
      seen.summary = summary;
    },
    onWarning: (message) => void seen.warnings.push(message),
  };
  for await (const frame of detector.detectVideo(source, { ...hooks, ...options })) seen.frames.push(frame);
  return seen;
}
