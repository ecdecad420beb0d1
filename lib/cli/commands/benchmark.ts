import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { messageOf } from '../../base/errors.ts';
import type { Detection } from '../../boxes/detection.ts';
import type { Sample } from '../../data/dataset.ts';
import { openDataset } from '../../data/open-dataset.ts';
import { type PartName, partNames } from '../../data/part-name.ts';
import { Detector } from '../../detector/detector.ts';
import { exportDetector } from '../../detector/export-detector.ts';
import { cocoAveragePrecision } from '../../evaluation/average-precision.ts';
import type { EvaluatedImage } from '../../evaluation/evaluated-image.ts';
import { drawnImage } from '../../onnx/verify.ts';
import type { Contestant, Measurement } from '../benchmark/contestant.ts';
import { differenceOf, formatRows, measureApart, type Row } from '../benchmark/side-by-side.ts';
import { integer } from '../options/option-values.ts';

interface Flags {
  checkpoint: string;
  data?: string;
  split: PartName;
  images: number;
  threads?: number;
  json?: true;
}

const examples = `
Examples:
  dinov3-det benchmark --checkpoint runs/train/best
  dinov3-det benchmark --checkpoint runs/train/best --data configs/bccd.yaml --split test --json > runtimes.json
Each runtime has a process of its own. box and score are the largest differences from the first row.`;

/** `dinov3-det benchmark`: compares one detector in all installed runtimes. */
export function benchmarkCommand(): Command {
  return new Command('benchmark')
    .description('measure a trained detector in LibTorch and in the ONNX runtimes that are installed')
    .requiredOption('--checkpoint <dir>', 'required: the directory of a checkpoint, for example runs/train/best')
    .option(
      '--data <path>',
      'a data set of any format: its images are used, and mAP is measured (default: drawn images)',
    )
    .addOption(new Option('--split <name>', 'the part of the data set').choices(partNames).default('valid'))
    .option('--images <n>', 'number of images to time', integer(1), 20)
    .option('--threads <n>', 'threads of every runtime (default: its own choice)', integer(1))
    .option('--json', 'print the result as JSON')
    .addHelpText('after', examples)
    .action(async (flags: Flags) => {
      const rows = await benchmark(flags);
      console.log(flags.json ? JSON.stringify(rows) : formatRows(rows));
    });
}

interface Named {
  name: string;
  contestant: Contestant;
  /** The file with the weights. */
  file: string;
}

async function benchmark(flags: Flags): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'dinov3-det-benchmark-'));
  try {
    const { contestants, limits, classes, size } = await prepare(flags.checkpoint, folder);
    const samples = flags.data === undefined ? undefined : await samplesOf(flags, classes);
    const images = samples?.map(({ imagePath }) => imagePath) ?? (await drawImages(folder, size, flags.images));
    const task = { images, timed: Math.min(flags.images, images.length), threads: flags.threads, limits };
    const rows: Row[] = [];
    let first: Measurement | undefined;
    for (const { name, contestant, file } of contestants) {
      const fileBytes = (await stat(file)).size;
      try {
        const { detections, ...measured } = await measureApart({ ...task, contestant });
        const whole = { ...measured, detections };
        const map = samples && (await meanAveragePrecision(samples, detections, classes));
        rows.push({
          ...{ name, fileBytes, measured },
          ...(map !== undefined && { map }),
          ...(first && { difference: differenceOf(first, whole) }),
        });
        first ??= whole;
      } catch (error) {
        rows.push({ name, fileBytes, error: messageOf(error) });
      }
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes the detector's files for every runtime. NMS stays outside of them, so that it can be timed separately. */
async function prepare(checkpoint: string, folder: string) {
  const detector = await Detector.load(checkpoint);
  try {
    const { config, classes } = detector;
    const { scoreThreshold, maxDetections } = config.postprocess;
    const weights = join(checkpoint, 'model.safetensors');
    const libtorch = (precision: 'fp32' | 'bf16'): Named => ({
      ...{ name: `LibTorch ${precision}`, file: weights },
      contestant: { runtime: 'libtorch', checkpoint, precision },
    });
    const contestants = [libtorch('fp32'), libtorch('bf16')];
    if (config.backbone !== 'torchscript') {
      const [full, half] = [join(folder, 'full.onnx'), join(folder, 'half.onnx')];
      const shared = { format: 'onnx', nms: 'none', verify: false } as const;
      await exportDetector(detector, full, shared);
      await exportDetector(detector, half, { ...shared, half: true });
      const node = 'onnxruntime-node';
      contestants.push(
        { name: 'ONNX Runtime fp32', contestant: { runtime: node, file: full }, file: full },
        { name: 'ONNX Runtime fp16', contestant: { runtime: node, file: half }, file: half },
        { name: 'ONNX Runtime Web fp32 (wasm)', contestant: { runtime: 'onnxruntime-web', file: full }, file: full },
      );
    }
    return { contestants, limits: { scoreThreshold, maxDetections }, classes, size: config.imageSize };
  } finally {
    detector.dispose();
  }
}

async function samplesOf({ data, split }: Flags, classes: readonly string[]): Promise<readonly Sample[]> {
  return (await openDataset(data!, { split, classes })).samples;
}

async function drawImages(folder: string, size: { width: number; height: number }, count: number): Promise<string[]> {
  const { default: sharp } = await import('sharp');
  return await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const { data, width, height } = drawnImage(size, i);
      const path = join(folder, `${i}.jpg`);
      await sharp(data, { raw: { width, height, channels: 3 } })
        .jpeg()
        .toFile(path);
      return path;
    }),
  );
}

async function meanAveragePrecision(
  samples: readonly Sample[],
  detections: readonly Detection[][],
  classes: readonly string[],
): Promise<number> {
  const images = samples.map((sample, i): EvaluatedImage => {
    const [found, objects] = [detections[i]!, sample.objects];
    return {
      detections: {
        boxes: Float64Array.from(found.flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax])),
        scores: Float64Array.from(found, ({ score }) => score),
        labels: Int32Array.from(found, ({ label }) => classes.indexOf(label) + 1),
      },
      groundTruth: {
        boxes: Float64Array.from(objects.flatMap(({ box }) => [box.xmin, box.ymin, box.xmax, box.ymax])),
        labels: Int32Array.from(objects, ({ labelIndex }) => labelIndex),
      },
    };
  });
  return (await cocoAveragePrecision(images)).ap;
}
