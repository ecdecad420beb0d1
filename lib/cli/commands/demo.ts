import { readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command } from 'commander';
import { native } from '../../binding.ts';
import { scaleBox } from '../../boxes/box.ts';
import { loadDatasetConfig } from '../../data/dataset-config.ts';
import { VocDataset } from '../../data/voc-dataset.ts';
import { Detector } from '../../detector/detector.ts';
import { type EvaluationResult, Evaluator } from '../../evaluation/evaluator.ts';
import { makeDirectory } from '../../files/atomic-file.ts';
import { Trainer } from '../../training/trainer.ts';
import { writeDrawnScenes } from '../demo/drawn-scenes.ts';
import { interruptible } from '../interruption.ts';
import { integer } from '../options/option-values.ts';
import { freshDirectory } from '../options/out-dir.ts';
import { formatEvaluation } from '../output/evaluation-text.ts';
import { createProgress } from '../output/progress.ts';
import { textLog } from '../output/training-log.ts';
import { UsageError } from '../usage-error.ts';

/** The number of scenes. Together they take about four minutes on two cores with AVX-512, and eight without. */
const SCENES = { train: 1600, valid: 60, test: 200 };
const IMAGE_SIZE = { width: 256, height: 192 };
const TRAINING = { epochs: 10, batchSize: 8, learningRate: 2e-3 };
const IMAGES = 8;
/** The scale of the output images. Without it labels would hide the small scenes. */
const ZOOM = 4;
const DEFAULT_OUT_DIR = join('demo', 'run');

interface Flags {
  seed: number;
  outDir?: string;
}

const examples = `
Examples:
  dinov3-det demo              draws, trains, evaluates and detects, all in ${DEFAULT_OUT_DIR}
  dinov3-det demo --seed 2     the same with other scenes`;

/** `dinov3-det demo`: a first try after installing the package. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('train and try a small detector on drawn scenes, in a few minutes')
    .option('--seed <n>', 'seed of the scenes and the training', integer(0), 1)
    .option('--out-dir <dir>', `directory for all results (default: ${DEFAULT_OUT_DIR}, then run-2 and so on)`)
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Finishing the step and saving', (signal) => demo(flags, signal)));
}

/** Draws a data set, trains, evaluates and detects. */
async function demo({ seed, outDir }: Flags, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const folder = outDir === undefined ? await freshDirectory(DEFAULT_OUT_DIR) : await emptyDirectory(outDir);
  await native(); // fails before any drawing if LibTorch is missing
  const data = join(folder, 'data');
  console.log(`Drawing ${SCENES.train + SCENES.valid + SCENES.test} scenes into ${data}`);
  const { classes, train, valid, test } = await loadDatasetConfig(await writeDrawnScenes(data, { ...SCENES, seed }));
  const open = (source: typeof train) => VocDataset.open({ ...source, classes, signal });

  const run = join(folder, 'training');
  await trainDetector(await open(train), await open(valid), run, seed, signal);
  const detector = await Detector.load(join(run, 'best'));
  try {
    const heldOut = await open(test!);
    const result = await evaluate(detector, heldOut, signal);
    console.log(`\nThe best checkpoint on ${heldOut.length} held-out scenes:\n${formatEvaluation(result)}`);
    await drawDetections(detector, heldOut, join(folder, 'images'));
  } finally {
    detector.dispose();
  }
  console.log(describeEnd(folder, (performance.now() - began) / 1000));
}

/** Creates the output folder. It must be empty, because the data set has names such as 000001.jpg. */
async function emptyDirectory(path: string): Promise<string> {
  const entries = await readdir(path).catch(() => []);
  if (entries.length > 0) throw new UsageError(`--out-dir: ${path} is not empty. Name a new or empty directory`);
  return path;
}

async function trainDetector(train: VocDataset, valid: VocDataset, outDir: string, seed: number, signal: AbortSignal) {
  const { classes } = train;
  const detector = await Detector.create({
    ...{ classes, preset: 'ssd', backbone: 'convnext_test', imageSize: IMAGE_SIZE, seed },
  });
  const log = textLog();
  try {
    const trainer = new Trainer(detector, { train, valid, outDir, seed, ...TRAINING });
    const summary = await detector.summary({ fineTune: trainer.options.fineTune });
    const origin = 'A small backbone, with random weights';
    log.start({ outDir, train, valid, summary, origin, weightReport: detector.weightReport });
    await trainer.run({ ...log.hooks, signal });
  } finally {
    log.stop();
    detector.dispose();
  }
}

async function evaluate(detector: Detector, dataset: VocDataset, signal: AbortSignal): Promise<EvaluationResult> {
  const progress = createProgress({ total: dataset.length, unit: 'image', label: 'Evaluating' });
  try {
    return await new Evaluator(dataset).evaluate(detector, { onProgress: (done) => progress.update(done), signal });
  } finally {
    progress.stop();
  }
}

/** Writes enlarged images of the first scenes with their detections. */
async function drawDetections(detector: Detector, { samples }: VocDataset, folder: string): Promise<void> {
  const { default: sharp } = await import('sharp');
  await makeDirectory(folder);
  for (const { imagePath, width, height } of samples.slice(0, IMAGES)) {
    const found = await detector.detect(imagePath, { scoreThreshold: 0.4 });
    const enlarged = await sharp(imagePath)
      .resize(width * ZOOM, height * ZOOM)
      .toBuffer();
    const detections = found.map((detection) => ({ ...detection, box: scaleBox(detection.box, ZOOM, ZOOM) }));
    await writeFile(join(folder, basename(imagePath)), await detector.annotate(enlarged, detections));
  }
}

function describeEnd(folder: string, seconds: number): string {
  return [
    `\nDone in ${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s.`,
    `Images with boxes:   ${join(folder, 'images')}`,
    `Plots:                 ${join(folder, 'training', 'map.png')}, ${join(folder, 'training', 'train_loss.png')}`,
    `Checkpoint:            ${join(folder, 'training', 'best')}`,
    'For your own images, write a file like configs/voc.yaml with their folders, then run:',
    '  npx dinov3-det train --config YOUR.yaml --imgsz 320 320',
    `  npx dinov3-det detect --checkpoint ${join('runs', 'train', 'best')} YOUR-IMAGES`,
  ].join('\n');
}
