// What test/e2e/clean-exit.test.ts runs in processes of its own, against the compiled package under its own name.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { Detector, loadDatasetConfig, Trainer, VocDataset } from 'dinov3-det';

const model = { backbone: 'convnext_test', imageSize: { width: 64, height: 64 }, seed: 1 };

/** Works without end, `folder` has drawn scenes; `onStep` is called after each step of training, each image of detection. */
const works = {
  train: async (folder, onStep) => {
    const { classes, train, valid } = await loadDatasetConfig(join(folder, 'scenes.yaml'));
    const trainer = new Trainer(await Detector.create({ ...model, classes }), {
      train: await VocDataset.open({ ...train, classes }),
      valid: await VocDataset.open({ ...valid, classes }),
      outDir: join(folder, `run-${process.pid}-${performance.now()}`),
      fineTune: true,
      batchSize: 2,
      epochs: 1000,
    });
    await trainer.run({ onStep });
  },

  detect: async (folder, onStep) => {
    const detector = await Detector.create({ ...model, classes: ['__background__', 'cat'] });
    const images = ['000001.jpg', '000002.jpg'].map((name) => join(folder, 'JPEGImages', name));
    const lane = async () => {
      for (;;) onStep(await detector.detect(images, { scoreThreshold: 0 }));
    };
    await Promise.all([lane(), lane()]);
  },
};

/** Lets `work` go on for so many steps and milliseconds more, then ends the process. */
async function exit(work, folder, steps, delay) {
  let left = Number(steps);
  const end = () => setTimeout(() => process.stdout.write('exit', () => process.exit(7)), Number(delay));
  if (left === 0) end();
  await works[work](folder, () => {
    if (--left === 0) end();
  });
}

const startWorker = (work, folder, steps) =>
  new Worker(new URL(import.meta.url), { workerData: { work, folder, steps } });
const ending = (worker) => new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));

/** Ends worker threads at random moments, from the start of the thread to well into its work, while this thread works too. */
async function terminate(work, folder, rounds) {
  const detector = await Detector.create({ ...model, classes: ['__background__', 'cat'] });
  const detect = async () => JSON.stringify(await detector.detect(join(folder, 'JPEGImages', '000001.jpg')));
  const expected = await detect();
  const start = performance.now();
  const first = startWorker(work, folder);
  await new Promise((resolve, reject) => first.once('message', resolve).once('error', reject));
  const span = 1.5 * (performance.now() - start);
  await first.terminate();
  for (let round = 1; round <= Number(rounds); round++) {
    const moment = Math.random() * span;
    console.log(`round ${round}: ${moment.toFixed(1)} of ${span.toFixed(0)} ms`);
    const worker = startWorker(work, folder);
    const end = ending(worker).then((code) => `by itself, with the code ${code}`);
    const ended = await Promise.race([end, sleep(moment)]);
    if (ended !== undefined) throw new Error(`the worker ended ${ended}`);
    await worker.terminate();
    await end;
    if ((await detect()) !== expected) throw new Error('this thread does not detect any more what it did');
  }
  console.log('done');
}

/** Three worker threads with a detector each: one is ended in the middle, the others go on to their end. */
async function several(folder) {
  const results = [new Set(), new Set(), new Set()];
  const workers = results.map((found) =>
    startWorker('detect', folder, 40).on('message', (result) => found.add(result)),
  );
  const ends = workers.map(ending);
  await new Promise((resolve, reject) => workers[1].once('message', resolve).once('error', reject));
  await workers[1].terminate();
  console.log(
    `codes ${await Promise.all(ends)}`,
    `different results ${new Set(results.flatMap((found) => [...found])).size}`,
  );
}

if (isMainThread) {
  const [task, ...given] = process.argv.slice(2);
  await { exit, terminate, several }[task](...given);
} else {
  let left = workerData.steps ?? Number.POSITIVE_INFINITY;
  await works[workerData.work](workerData.folder, (result) => {
    parentPort.postMessage(JSON.stringify(result));
    if (--left === 0) process.exit(0);
  });
}
