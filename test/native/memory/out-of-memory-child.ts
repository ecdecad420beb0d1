import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { addon, allDetections, oneStep, options } from '../detectors.ts';

/** What out-of-memory.test.ts runs: calls with more memory than the process may have, then with less. Prints JSON. */
const size = { width: 512, height: 512 };
const spareBytes = 2 ** 28;

function batchOf(count: number) {
  return addon.createBatch({
    size,
    images: Array.from({ length: count }, (_, i) => ({
      data: new Uint8Array(64 * 64 * 3).fill(i),
      width: 64,
      height: 64,
      flip: false,
    })),
    counts: new Int32Array(count).fill(1),
    boxes: Float32Array.from(Array.from({ length: count }, () => [50, 50, 350, 300]).flat()),
    labels: new Int32Array(count).fill(1),
  });
}

const messageOf = (error: { code: string; message: string }) => `${error.code}: ${error.message}`;
const failure = (call: Promise<unknown>) => call.then(() => 'no error', messageOf);

await addon.setThreads(2);
const detector = await addon.createDetector({ ...options, imageSize: size });
await addon.startTraining(detector, { optimizer: 'sgd', fineTune: true });
const [small, large] = [await batchOf(1), await batchOf(96)];
await oneStep(detector, small, 1e-4);
const before = await oneStep(detector, small, 0);
const tiny = await addon.createDetector({ ...options, backbone: 'convnext_tiny', seed: 1 }); // 340 MB with the optimizer's
await addon.startTraining(tiny, { optimizer: 'adamw', fineTune: true });

const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]);
execFileSync('prlimit', ['--pid', String(process.pid), `--as=${pages * 4096 + spareBytes}`]);
const training = await failure(oneStep(detector, large, 1e-4));
const detection = await failure(addon.detect(detector, large, allDetections));
const copy = await failure(addon.takeSnapshot(tiny));
const after = await oneStep(detector, small, 0);
const { counts } = await addon.detect(detector, small, allDetections);
console.log(JSON.stringify({ training, detection, copy, losses: [before.loss, after.loss], detections: counts[0] }));
