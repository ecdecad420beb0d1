import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import { addon, allDetections, batchOf, oneStep, options, readBytes } from '../detectors.ts';

const detector = await addon.createDetector(options);
const batch = await batchOf();

describe('the native lane', () => {
  it('runs jobs in the order in which they were given, whatever they are', async () => {
    const order: string[] = [];
    const own = await addon.createDetector(options);
    const jobs: [string, () => Promise<unknown>][] = [
      ['start', () => addon.startTraining(own, { optimizer: 'sgd', fineTune: true })],
      ['step', () => oneStep(own, batch, 1e-3)],
      ['boxes', () => addon.defaultBoxes(own)],
      ['detect', () => addon.detect(own, batch, allDetections)],
      ['fails', () => addon.describeState(own, 'nothing' as 'model').catch(() => {})],
      ['create', () => addon.createDetector(options)],
      ['state', () => addon.describeState(own, 'optimizer')],
      ['last step', () => oneStep(own, batch, 1e-3)],
    ];
    await Promise.all(jobs.map(([name, job]) => job().then(() => order.push(name))));
    expect(order).toEqual(jobs.map(([name]) => name));
  });

  it('gives the same results to jobs that were given at once as to jobs that waited for each other', async () => {
    const run = async (together: boolean) => {
      const own = await addon.createDetector(options);
      await addon.startTraining(own, { optimizer: 'adamw', fineTune: true });
      const jobs = [0, 1, 2, 3].flatMap(() => [
        () => oneStep(own, batch, 1e-3),
        () => addon.detect(own, batch, allDetections),
      ]);
      const results: unknown[] = [];
      if (together) results.push(...(await Promise.all(jobs.map((job) => job()))));
      else for (const job of jobs) results.push(await job());
      return { results, state: Buffer.concat([...(await readBytes(own, 'model')).values()]) };
    };
    const [apart, together] = [await run(false), await run(true)];
    expect(together.results).toEqual(apart.results);
    expect(together.state.equals(apart.state)).toBe(true);
  });

  it('gives one caller what it gives many', async () => {
    const expected = await addon.detect(detector, batch, allDetections);
    const many = await Promise.all(Array.from({ length: 25 }, () => addon.detect(detector, batch, allDetections)));
    expect(many).toEqual(many.map(() => expected));
  });

  it('makes batches beside itself', async () => {
    const made = await Promise.all(Array.from({ length: 12 }, () => batchOf()));
    const found = await Promise.all(made.map((each) => addon.detect(detector, each, allDetections)));
    expect(found).toEqual(found.map(() => found[0]));
    expect(found[0]).toEqual(await addon.detect(detector, batch, allDetections));
  });

  it('leaves the event loop free while a step runs', async () => {
    const imageSize = { width: 256, height: 256 };
    const large = await addon.createDetector({ ...options, imageSize });
    await addon.startTraining(large, { optimizer: 'adamw', fineTune: true });
    const images = [0, 1, 2, 3].map(() => ({ boxes: [[10, 10, 80, 90]], labels: [1] }));
    let running = true;
    const step = oneStep(large, await batchOf(images, imageSize), 1e-3).finally(() => {
      running = false;
    });
    let turns = 0;
    while (running) {
      await setImmediate();
      turns++;
    }
    expect((await step).loss).toBeGreaterThan(0);
    expect(turns).toBeGreaterThan(20);
  });
});
