import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type VideoOptions, type VideoSummary, videoTable } from '../../video/options.ts';
import type { VideoInfo } from '../../video/probe.ts';
import { interruptedBy, interruptible } from '../interruption.ts';
import { addOptions, addOwn, addRequired, givenOptions } from '../options/option-flags.ts';
import { checkOutFile } from '../options/out-file.ts';
import {
  addTrainedDetectorOptions,
  checkTrainedDetectorFlags,
  openTrainedDetector,
  type TrainedDetectorFlags,
  warnOfCut,
} from '../options/trained-detector.ts';
import { createProgress, type Progress } from '../output/progress.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends TrainedDetectorFlags {
  maxDetections?: number;
  input: string;
  output?: string;
  force?: true;
  json?: true;
}

const examples = `
Examples:
  dinov3-det video --input in.mp4 --checkpoint runs/train/best --output out.mp4
  dinov3-det video --input in.mp4 --checkpoint runs/train/best --output out.mp4 --threshold 0.4 --track --smooth
  dinov3-det video --input in.mp4 --checkpoint runs/train/best --json > detections.jsonl
  dinov3-det video --input rtsp://camera/stream --checkpoint runs/train/best --output seen.mkv
  dinov3-det video --input /dev/video0 --checkpoint runs/train/best --json
  dinov3-det video --input 0 --format avfoundation --checkpoint runs/train/best --output seen.mp4
Needs ffmpeg. Frame times, rotation and audio are kept. Ctrl-C finishes the output file with what was done. Of a live source, frames
that there is no time for are left out. FPS is that of resize, model and NMS, and then that of everything.`;

/** `dinov3-det video`: detects objects in a video, a stream or a camera. */
export function videoCommand(): Command {
  const command = new Command('video').description('detect objects in a video, and draw their boxes');
  addRequired(command, '--input <source>', 'a video file, a URL (http, rtsp and others), or a camera');
  addTrainedDetectorOptions(command);
  addOwn(command, 'Detector', new Option('--config <yaml>', 'with --weights: the data set file, for its classes'));
  addOptions(command, videoTable);
  addOwn(command, 'Output', new Option('--force', 'replace an existing output file'));
  return addOwn(command, 'Output', new Option('--json', 'print one JSON line per frame and one for the result'))
    .addHelpText('after', examples)
    .action((flags: Flags) =>
      interruptible(flags.output ? 'Finishing the output file' : 'Stopping', (stop) => video(flags, stop)),
    );
}

async function video(flags: Flags, stop: AbortSignal): Promise<void> {
  const { input, output } = flags;
  checkTrainedDetectorFlags(flags);
  if (output !== undefined) await checkOutput(output, input, flags);
  const detector = await openTrainedDetector(flags);
  warnOfCut(detector, flags.maxDetections);
  const display = flags.json ? jsonDisplay() : textDisplay(output);
  let [frames, timestamp] = [0, 0];
  try {
    const options = { ...givenOptions(videoTable, flags), ...display.hooks, onWarning, stop };
    for await (const frame of detector.detectVideo(input, options)) {
      frames++;
      timestamp = frame.timestamp;
    }
  } finally {
    display.stop();
    detector.dispose();
  }
  if (!stop.aborted) return;
  const done = `the first ${frames} frames (${timestamp.toFixed(2)} s)`;
  throw interruptedBy(stop, output && frames > 0 ? `Interrupted: ${output} has ${done}` : `Interrupted after ${done}`);
}

/** Checks the output file. An existing file needs --force, and the input is never replaced. @throws {UsageError} */
async function checkOutput(output: string, input: string, { force }: Flags): Promise<void> {
  if (resolve(output) === resolve(input)) throw new UsageError(`--output: ${output} is the input. Name another file`);
  await checkOutFile('--output', output, force ?? false);
}

/** The output of a run for the user. */
interface Display {
  hooks: Required<Pick<VideoOptions, 'onStart' | 'onFrame' | 'onEnd'>>;
  stop: () => void;
}

/** Prints one JSON object per line on standard output: `frame`s, and a `result`. */
function jsonDisplay(): Display {
  const write = (event: string, content: object) => console.log(JSON.stringify({ event, ...content }));
  return {
    hooks: {
      onStart: () => {},
      onFrame: (frame) => write('frame', frame),
      onEnd: (summary) => write('result', summary),
    },
    stop: () => {},
  };
}

/** Shows progress on standard error, and a summary on standard output. */
function textDisplay(output: string | undefined): Display {
  let progress: Progress | undefined;
  let began = 0;
  let total: number | undefined;
  let done = 0;
  return {
    hooks: {
      onStart: (info) => {
        total = info.frames;
        began = performance.now();
        console.log(describeVideo(info));
        progress = createProgress({ total, unit: 'frame', label: 'Video' });
      },
      onFrame: () => {
        const seconds = (performance.now() - began) / 1000;
        progress?.update(++done, describeSpeed(done, total, seconds));
      },
      onEnd: (summary) => {
        progress?.stop();
        console.log(describeEnd(summary, output));
      },
    },
    stop: () => progress?.stop(),
  };
}

/** Describes a video: "320x240, 29.97 frames a second, 3.0 s, audio aac". */
function describeVideo({ width, height, frameRate, seconds, audio, isLive }: VideoInfo): string {
  const length = isLive ? 'live' : seconds === undefined ? 'of unknown length' : `${seconds.toFixed(1)} s`;
  return `${width}x${height}, ${Number(frameRate.toFixed(3))} frames a second, ${length}${audio ? `, audio ${audio}` : ''}`;
}

/** Describes the speed: "12.3 FPS, ETA 1:05". */
function describeSpeed(done: number, total: number | undefined, seconds: number): string {
  const fps = seconds > 0 ? done / seconds : 0;
  const eta = total === undefined || fps === 0 ? '' : `, ETA ${clock(Math.max(0, total - done) / fps)}`;
  return `${fps.toFixed(1)} FPS${eta}`;
}

function describeEnd({ frames, dropped, seconds, modelFps, fps }: VideoSummary, output: string | undefined): string {
  return [
    `${frames} frames in ${clock(seconds)}${dropped > 0 ? `, ${dropped} dropped` : ''}`,
    `Average FPS of the model: ${modelFps.toFixed(1)}`,
    `Average FPS of everything: ${fps.toFixed(1)}`,
    ...(output === undefined ? [] : [`Output: ${output}`]),
  ].join('\n');
}

/** Formats seconds: 65 as "1:05", 3665 as "1:01:05". */
function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const parts = hours > 0 ? [hours, String(minutes).padStart(2, '0')] : [minutes];
  return [...parts, String(whole % 60).padStart(2, '0')].join(':');
}

function onWarning(message: string): void {
  console.error(`Warning: ${message}`);
}
