import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeBatch, native } from '../../../lib/binding.ts';
import type { Size } from '../../../lib/boxes/box.ts';
import { DataLoader } from '../../../lib/data/data-loader.ts';
import type { Dataset } from '../../../lib/data/dataset.ts';
import { openDataset } from '../../../lib/data/open-dataset.ts';
import { VocDataset, type VocDatasetOptions } from '../../../lib/data/voc-dataset.ts';
import { internalsOf } from '../../../lib/detector/detector-internals.ts';
import { cocoAveragePrecision } from '../../../lib/evaluation/average-precision.ts';
import { scoreImages } from '../../../lib/evaluation/evaluation-scores.ts';
import { decodeImage } from '../../../lib/images/image.ts';
import { addonPath, loadAddonFile } from '../../../lib/libtorch/load.ts';
import { defaultBoxScales } from '../../../lib/model/config.ts';
import type { TestAddon } from '../../native/support.ts';
import { pattern } from '../../support/named-values.ts';
import { readEvaluation } from '../evaluation-set.ts';
import type { Workload } from '../workload.ts';
import { createDetector, type Precision } from './model-tasks.ts';
import type { Task } from './worker.ts';

/** From files to a uint8 batch, one image after the other. */
export async function data({ paths, side }: { paths: string[]; side: number }): Promise<Task> {
  const addon = await native();
  const size = { width: side, height: side };
  const step = async () => {
    for (const path of paths) {
      const images = [{ ...(await decodeImage(path)), flip: false }];
      const none = { counts: new Int32Array(1), boxes: new Float32Array(0), labels: new Int32Array(0) };
      addon.disposeBatch(await makeBatch(addon, { size, images, ...none }));
    }
    return {};
  };
  return { step, facts: {} };
}

/** An epoch of training with `loader`; of its time after the first batch, the share that was spent waiting for data. */
export async function loading(
  options: Workload & { source: VocDatasetOptions; batch: number; steps: number; precision: Precision },
): Promise<Task> {
  const dataset = await VocDataset.open(options.source);
  const detector = await createDetector({ ...options, classes: dataset.classes.length + 1 });
  const { addon, handle } = internalsOf(detector);
  await addon.startTraining(handle, { optimizer: 'adamw', fineTune: true });
  const shuffle = { seed: 1, flipProbability: 0.5 };
  const size = detector.config.imageSize;
  const loader = new DataLoader(addon, dataset, { size, batchSize: options.batch, workers: 2, shuffle });
  const step = async () => {
    let [waited, worked, at] = [0, 0, performance.now()];
    for await (const { handle: batch, index } of loader.epoch(0)) {
      const asked = performance.now();
      await addon.trainStep(handle, batch, 1e-4);
      if (index > 0) {
        waited += asked - at;
        worked += performance.now() - asked;
      }
      at = performance.now();
      if (index === options.steps) break;
    }
    return { result: { share: (100 * waited) / (waited + worked) } };
  };
  return { step, facts: {} };
}

/** Opens a data set, headers only; the result is the memory that the process has then. */
export async function dataset({ source }: { source: VocDatasetOptions }): Promise<Task> {
  const step = async () => {
    const { length } = await VocDataset.open({ ...source, verifyImages: false, cache: false });
    return { result: { length, rss: process.memoryUsage.rss() } };
  };
  return { step, facts: {} };
}

/** Opens a data set of any format, headers only, and keeps it; `facts` has the memory that the process had before. */
export async function annotations({ path }: { path: string }): Promise<Task> {
  let dataset: Dataset | undefined;
  const step = async () => {
    dataset = await openDataset(path, { verifyImages: false });
    return { result: { length: dataset.length, rss: process.memoryUsage.rss() } };
  };
  return { step, facts: { rss: process.memoryUsage.rss() } };
}

interface PostprocessTask {
  side: number;
  grid: number;
  classes: number;
  images: number;
  scale: number;
  background: number;
}

export async function postprocess(options: PostprocessTask): Promise<Task> {
  const { side, grid, classes, images, scale, background } = options;
  const addon = await loadTestAddon();
  const size: Size = { width: side, height: side };
  const aspectRatios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]];
  const boxes = { aspectRatios, scales: defaultBoxScales(6, 0.15, 0.9), steps: [], clip: true };
  const anchors = addon.defaultBoxes(boxes, [{ width: grid, height: grid }], size);
  const count = anchors.shape[0]!;
  const logits = pattern('logits', [images, count, classes], scale);
  for (let i = 0; i < logits.data.length; i += classes) logits.data[i]! += background;
  const regression = pattern('regression', [images, count, 4], 4);
  const originals = Array.from({ length: images }, () => ({ width: 500, height: 375 }));
  const limits = { scoreThreshold: 0.01, nmsThreshold: 0.45, topkCandidates: 400, maxDetections: 200 };
  const step = async () => {
    const { counts, ...found } = addon.postprocess(logits, regression, anchors, size, originals, limits);
    const ms = addon.lastMilliseconds();
    let end = 0;
    const result = counts.map((length) => {
      const begin = end;
      end += length;
      return {
        boxes: found.boxes.slice(4 * begin, 4 * end),
        scores: found.scores.slice(begin, end),
        labels: found.labels.slice(begin, end),
      };
    });
    return { ms, result };
  };
  return { step, facts: {} };
}

export async function nms(candidates: { boxes: number[]; scores: number[]; labels: number[] }): Promise<Task> {
  const addon = await loadTestAddon();
  const step = async () => {
    const result = addon.batchedNms(candidates, 0.45);
    return { ms: addon.lastMilliseconds(), result };
  };
  return { step, facts: {} };
}

/** COCO's twelve numbers; with `all`, what an `Evaluator` computes besides too. */
export async function map({ all, ...files }: { truth: string; detections: string; images: number; all: boolean }) {
  const images = readEvaluation(await readFile(files.truth), await readFile(files.detections), files.images);
  const step = async () => {
    const { stats } = all ? (await scoreImages(images)).coco : await cocoAveragePrecision(images);
    return { result: stats };
  };
  return { step, facts: {} };
}

/** `npm test` and `npm run bench` build it beside the addon. */
async function loadTestAddon(): Promise<TestAddon> {
  const { addon } = await loadAddonFile(join(dirname(addonPath()), 'test', 'dinov3_det_test.node'));
  return addon as TestAddon;
}
