import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { DetectorError, messageOf } from '../../base/errors.ts';
import type { Detection } from '../../boxes/detection.ts';
import { writerNames } from '../../data/write-dataset.ts';
import type { Detector } from '../../detector/detector.ts';
import { ensureWritableDirectory, writeFileAtomic } from '../../files/atomic-file.ts';
import { annotateImage } from '../../images/draw.ts';
import { decodeImage } from '../../images/image.ts';
import { shownTable } from '../../model/postprocess-options.ts';
import { interruptible } from '../interruption.ts';
import { listImages, type OutputName, outputNames } from '../options/image-files.ts';
import { addOptions, addOwn, givenOptions } from '../options/option-flags.ts';
import { freshDirectory } from '../options/out-dir.ts';
import {
  addTrainedDetectorOptions,
  checkTrainedDetectorFlags,
  openTrainedDetector,
  type TrainedDetectorFlags,
  warnOfCut,
} from '../options/trained-detector.ts';
import { type DetectionSaving, openSaving } from '../output/detection-saving.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends TrainedDetectorFlags {
  maxDetections?: number;
  outDir?: string;
  recursive?: true;
  save?: string;
  json?: true;
}

/** One line of `detections.json`; boxes in pixels of the upright image. */
interface FileDetections {
  file: string;
  /** The image with the boxes drawn in, in the same folder as `detections.json`. */
  annotated: string;
  width: number;
  height: number;
  detections: Detection[];
}

const DEFAULT_OUT_DIR = join('runs', 'detect');
const RESULTS = 'detections.json';
/** Where `--save` writes. */
const LABELS = 'labels';

const examples = `
Examples:
  dinov3-det detect --checkpoint runs/train/best photo.jpg
  dinov3-det detect --checkpoint runs/train/best --threshold 0.4 --recursive --out-dir found holiday/
  dinov3-det detect --checkpoint runs/train/best --save label-studio new-photos/
  dinov3-det detect photo.jpg --weights best_model.pth --config configs/voc.yaml --imgsz 640 640
Writes each image with its boxes, and ${RESULTS}. What cannot be read is reported and skipped. FPS is that of resize, model and NMS.`;

/** `dinov3-det detect`: boxes on images. */
export function detectCommand(): Command {
  const command = new Command('detect').description('find objects in images, and draw their boxes');
  command.argument('<inputs...>', 'images (JPEG, PNG, WebP), and folders of them');
  addTrainedDetectorOptions(command);
  addOwn(command, 'Detector', new Option('--config <yaml>', 'with --weights: the data set file, for its classes'));
  addOptions(command, shownTable);
  addOwn(command, 'Detection', new Option('--recursive', 'look into the folders of folders too'));
  const saved = 'write the detections as labels to correct, with their images, or as an image of each object (crops)';
  addOwn(command, 'Output', new Option('--save <format>', saved).choices([...writerNames, 'crops']));
  const places = `${DEFAULT_OUT_DIR}, ${DEFAULT_OUT_DIR}-2 and so on`;
  addOwn(command, 'Output', new Option('--out-dir <dir>', `where results go (default: ${places})`));
  return addOwn(command, 'Output', new Option('--json', `print ${RESULTS} instead of text`))
    .addHelpText('after', examples)
    .action((inputs: string[], flags: Flags) =>
      interruptible('Stopping after this image', (signal) => detect(inputs, flags, signal)),
    );
}

async function detect(inputs: string[], flags: Flags, signal: AbortSignal): Promise<void> {
  checkTrainedDetectorFlags(flags);
  const outDir = await chooseOutDir(flags.outDir);
  const files = await listImages(inputs, flags.recursive ?? false, reportSkip);
  if (files.length === 0) throw new DetectorError('IMAGE_UNREADABLE', 'No image was found in what was given');
  const detector = await openTrainedDetector(flags);
  warnOfCut(detector, flags.maxDetections);
  try {
    await ensureWritableDirectory(outDir);
    const found: FileDetections[] = [];
    const seconds: number[] = [];
    const say = flags.json ? () => {} : console.log;
    const nameOf = outputNames([RESULTS, LABELS, ...inputsWithin(outDir, files)]);
    const saving = flags.save === undefined ? undefined : await openSaving(join(outDir, LABELS), flags.save);
    for (const file of files) {
      if (signal.aborted) break;
      const result = await detectFile(detector, file, outDir, { nameOf, saving }, flags);
      if (result === undefined) continue;
      found.push(result.entry);
      seconds.push(result.seconds);
      say(describe(result.entry, result.seconds, outDir));
    }
    await saving?.finish(detector.classes);
    await writeFileAtomic(join(outDir, RESULTS), `${JSON.stringify(found, null, 2)}\n`);
    if (flags.json) console.log(JSON.stringify(found));
    say(`${describeSpeed(seconds)}Results: ${join(outDir, RESULTS)}`);
    signal.throwIfAborted();
    if (found.length === 0) throw new DetectorError('IMAGE_UNREADABLE', 'None of the images could be read');
  } finally {
    detector.dispose();
  }
}

/** Undefined, and a report, for an image that cannot be read. */
async function detectFile(
  detector: Detector,
  file: string,
  outDir: string,
  { nameOf, saving }: { nameOf: (path: string) => OutputName; saving: DetectionSaving | undefined },
  flags: Flags,
): Promise<{ entry: FileDetections; seconds: number } | undefined> {
  const image = await decodeImage(file, { autoOrient: true }).catch((error: unknown) => {
    if (!(error instanceof DetectorError)) throw error;
    reportSkip(file, messageOf(error));
  });
  if (!image) return undefined;
  const began = performance.now();
  const detections = await detector.detect(image, givenOptions(shownTable, flags));
  const seconds = (performance.now() - began) / 1000;
  await saving?.add(file, image, detections);
  const { name, format } = nameOf(file);
  await writeFileAtomic(join(outDir, name), await annotateImage(image, detections, { format }));
  return { entry: { file, annotated: name, width: image.width, height: image.height, detections }, seconds };
}

/** A directory with other things than results of `detect` is not written into: nothing of the user's may be replaced. */
async function chooseOutDir(outDir: string | undefined): Promise<string> {
  if (outDir === undefined) return freshDirectory(DEFAULT_OUT_DIR);
  const entries = await readdir(outDir).catch(() => []);
  if (entries.length > 0 && !existsSync(join(outDir, RESULTS))) {
    throw new UsageError(`--out-dir: ${outDir} is not empty and holds no ${RESULTS}. Name a new or empty directory`);
  }
  return outDir;
}

/** Names in the output folder that belong to images to be read. */
function inputsWithin(outDir: string, files: readonly string[]): string[] {
  return files.map((file) => relative(resolve(outDir), resolve(file))).filter((path) => !path.startsWith('..'));
}

function reportSkip(path: string, message: string): void {
  console.error(`Skipped ${path}: ${message}`);
}

/** "a.jpg: 2 cat, 1 dog (35 ms) -> runs/detect/a.jpg" */
function describe({ file, annotated, detections }: FileDetections, seconds: number, outDir: string): string {
  const counts = new Map<string, number>();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  const objects = [...counts].map(([label, count]) => `${count} ${label}`).join(', ') || 'nothing';
  return `${file}: ${objects} (${(1000 * seconds).toFixed(0)} ms) -> ${join(outDir, annotated)}`;
}

/** The first image warms up memory and threads, so it does not count where there are others. */
function describeSpeed(seconds: readonly number[]): string {
  const counted = seconds.length > 1 ? seconds.slice(1) : seconds;
  const total = counted.reduce((sum, value) => sum + value, 0);
  return total === 0 ? '' : `Average FPS: ${(counted.length / total).toFixed(1)}\n`;
}
