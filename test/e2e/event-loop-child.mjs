// What test/e2e/event-loop.test.ts runs in a process of its own: prints, for each kind of work, for how long it held the event loop
// at most, in milliseconds.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const resolution = 5;

/** Milliseconds that this thread has waited for a processor that others had: no fault of ours. Only Linux tells. */
function waited() {
  if (process.platform !== 'linux') return 0;
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6;
}

/** The longest time between two turns of the event loop, less the waiting for a processor in it. */
const longest = { held: 0 };
let [turn, wait] = [performance.now(), waited()];
setInterval(() => {
  const [now, waitedUntilNow] = [performance.now(), waited()];
  longest.held = Math.max(longest.held, now - turn - (waitedUntilNow - wait));
  [turn, wait] = [now, waitedUntilNow];
}, resolution).unref();

const delay = monitorEventLoopDelay({ resolution });
delay.enable();

async function during(name, work) {
  delay.reset(); // the first turn after it is not counted
  await sleep(4 * resolution);
  longest.held = 0;
  const result = await work();
  await sleep(4 * resolution); // what held the loop at the end is seen at the next turn
  console.log(JSON.stringify({ name, delay: delay.max / 1e6, held: longest.held }));
  return result;
}

await during('a wait of 200 ms', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200));

const { analyzeDataset, Detector, Evaluator, loadDatasetConfig, Trainer, VocDataset, writeAnalysisReport } =
  await import('dinov3-det');

const folder = process.argv[2];
const { classes, train, valid } = await loadDatasetConfig(join(folder, 'scenes.yaml'));
const options = { classes, imageSize: { width: 128, height: 128 }, seed: 1 };
const detector = await during('the first use', () => Detector.create({ ...options, backbone: 'convnext_test' }));
const large = await during('a detector', () => Detector.create({ ...options, backbone: 'convnext_tiny' }));
await during('saving', () => large.save(join(folder, 'large')));
await during('loading', () => Detector.load(join(folder, 'large')));
const open = (split) => VocDataset.open({ ...split, classes });
const [trainSet, validSet] = await during('reading data', () => Promise.all([open(train), open(valid)]));
const given = { train: trainSet, valid: validSet, outDir: join(folder, 'run'), fineTune: true, epochs: 2 };
await during('training', () => new Trainer(detector, { ...given, augmentation: 'ssd' }).run());
const images = Array.from({ length: 30 }, (_, index) => `${String(index + 1).padStart(6, '0')}.jpg`);
const paths = images.map((name) => join(folder, 'JPEGImages', name));
await during('detection', () => detector.detect(paths, { scoreThreshold: 0 }));
await during('evaluation', () => new Evaluator(validSet).evaluate(detector));
const analysis = await during('analysis', () => analyzeDataset(trainSet, { imageSize: options.imageSize }));
await during('its report', () => writeAnalysisReport(join(folder, 'report'), 'scenes', analysis));
