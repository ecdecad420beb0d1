import { setImmediate } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { native } from '../../../lib/binding.ts';

/**
 * What test/native/binding/process.test.ts runs in processes of its own: `argv[2]` or, in a worker thread, `workerData` says
 * what to do. Prints or posts `done` when all went well.
 */
type Task = 'idle' | 'pending' | 'exit' | 'throw' | 'train' | 'workers' | 'terminate';

const task: Task = isMainThread ? process.argv[2] : workerData;
const imageSize = { width: 160, height: 160 };

/** Training steps without end, several of them waiting in the lane, and batches beside it. */
async function train() {
  const addon = await native();
  const detector = await addon.createDetector({
    backbone: 'convnext_test',
    numClasses: 3,
    imageSize,
    mean: [0.5, 0.5, 0.5],
    std: [0.2, 0.2, 0.2],
    defaultBoxes: { aspectRatios: [[2]], scales: [0.2, 0.4], steps: [], clip: true },
    seed: 1,
    device: 'cpu',
    precision: 'fp32',
  });
  await addon.startTraining(detector, { optimizer: 'adamw', fineTune: true });
  const createBatch = () =>
    addon.createBatch({
      size: imageSize,
      images: Array.from({ length: 4 }, () => ({
        data: new Uint8Array(600 * 400 * 3).fill(9),
        width: 600,
        height: 400,
        flip: true,
      })),
      counts: Int32Array.of(1, 0, 0, 1),
      boxes: Float32Array.of(10, 10, 60, 60, 80, 80, 120, 130),
      labels: Int32Array.of(1, 2),
    });
  const batch = await createBatch();
  const step = async () => (await addon.trainStep(detector, batch, 1e-4))[0]!;
  return { step, createBatch };
}

/** Keeps the lane and libuv's threads busy; the promises are never looked at. */
async function busy() {
  const { step, createBatch } = await train();
  await step();
  const running = Array.from({ length: 20 }, () => Promise.all([step(), createBatch()]));
  for (const each of running) each.catch(() => {});
}

function report(message: string) {
  if (parentPort) parentPort.postMessage(message);
  else console.log(message);
}

/** Node 20 takes no TypeScript file for a worker's, whatever its loader: the worker registers its own. */
function startWorker(given: Task): Worker {
  const [loader, file] = [import.meta.resolve('tsx/esm/api'), import.meta.url];
  const code = `import('${loader}').then(({ register }) => { register(); return import('${file}'); })`;
  return new Worker(code, { eval: true, workerData: given });
}

const messageOf = (worker: Worker) =>
  new Promise<string>((resolve, reject) => worker.once('message', resolve).once('error', reject));

const tasks: Record<Task, () => Promise<void>> = {
  /** Nothing is left to do at the end. */
  idle: async () => {
    const { step } = await train();
    await step();
    report('done');
  },

  /** The lane's work alone keeps the process alive. */
  pending: async () => {
    const { step } = await train();
    step().then(({ loss }) => report(Number.isFinite(loss) ? 'done' : 'not finite'));
  },

  exit: async () => {
    await busy();
    report('done');
    process.exit(7);
  },

  throw: async () => {
    await busy();
    report('done');
    throw new Error('on purpose');
  },

  train: async () => {
    await busy();
    report('training');
  },

  /** Two threads at once, each with a lane of its own, beside that of the main thread. */
  workers: async () => {
    const { step } = await train();
    const workers = [startWorker('idle'), startWorker('idle')];
    const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    const messages = Promise.all(workers.map(messageOf));
    const { loss } = await step();
    const good = (await messages).every((message) => message === 'done') && Number.isFinite(loss);
    const codes = await Promise.all(ended);
    await step();
    report(good && codes.every((code) => code === 0) ? 'done' : `failed: ${codes}`);
  },

  /** Worker threads ended in the middle of a step, at several moments. */
  terminate: async () => {
    const { step } = await train();
    for (let moment = 0; moment < 3; moment++) {
      const worker = startWorker('train');
      await messageOf(worker);
      for (let turn = 0; turn < moment * 4; turn++) await setImmediate();
      if ((await worker.terminate()) !== 1) throw new Error('the worker had ended');
      const { loss } = await step();
      if (!Number.isFinite(loss)) throw new Error('this thread cannot train any more');
    }
    report('done');
  },
};

await tasks[task]();
