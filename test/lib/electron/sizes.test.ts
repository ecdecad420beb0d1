import { truncate, writeFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { native } from '../../../lib/binding.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { squareClasses } from '../../support/squares.ts';
import { expectError, noise, temporaryFolder } from '../../support/voc.ts';
import { fakeHost } from './fake-process.ts';

/** Electron has no ArrayBuffer above 2 GB or so: what would need one is refused, and what is native is not bound by it. */

const options: DetectorOptions = {
  classes: squareClasses,
  backbone: 'convnext_test',
  imageSize: { width: 64, height: 64 },
  threads: 1,
};
const GIGABYTE = 2 ** 30;

it('images of 2 GB and more are refused, without being copied or sent', async () => {
  await using here = await Detector.create(options);
  const { open, started } = fakeHost();
  const detector = await open();
  const requests = started[0]!.requests.length;
  const huge = new Uint8Array(2.5 * GIGABYTE); // of zeros, which the system need not hold
  const message = '2684354560 bytes, more than the 536870912 allowed';
  for (const image of [huge, { data: huge, width: 30_000, height: 30_000 }]) {
    await expectError(detector.detect(image), 'IMAGE_TOO_LARGE', message);
  }
  expect(started[0]!.requests).toHaveLength(requests);
  await expectError(here.detect(huge), 'IMAGE_TOO_LARGE', message);
  await expectError(here.detect({ data: huge, width: 30_000, height: 30_000 }), 'IMAGE_TOO_LARGE', 'megapixels');
});

it('files of 2 GB and more are errors that name the file', async () => {
  await using here = await Detector.create(options);
  const file = join(await temporaryFolder(), 'sparse');
  await writeFile(file, '');
  await truncate(file, 3 * GIGABYTE);
  await expectError(here.detect(file), 'IMAGE_UNREADABLE', file, 'it has 3221225472 bytes');
  const scripted = Detector.create({ ...options, backbone: { torchscript: file } });
  await expectError(scripted, 'WEIGHTS_NOT_FOUND', file, '3221225472 bytes, more than the 2147483647');
  await expectError(Detector.create({ ...options, weights: file }), 'WEIGHTS_INVALID', file);
});

it('results of 2 GB and more are refused before anything is computed', async () => {
  await using here = await Detector.create(options);
  const image = await noise(40, 50).png().toBuffer();
  const limits = { scoreThreshold: 0.9, maxDetections: 1e6 };
  const message = 'Expected integer from 1 to 134217727 for maxDetections x batchSize but received 135000000';
  await expect(here.detect(image, { ...limits, batchSize: 135 })).rejects.toThrow(message);
  expect(await here.detect(image, { ...limits, batchSize: 134 })).toBeInstanceOf(Array);
});

const hasMemory = freemem() > 6 * GIGABYTE;
it.skipIf(!hasMemory)(
  'a native batch of more than 2 GB (skipped where less than 6 GB of memory are free)',
  async () => {
    const addon = await native();
    const size = { width: 4096, height: 4096 };
    const images = Array.from({ length: 44 }, () => ({
      data: new Uint8Array(3).fill(7),
      width: 1,
      height: 1,
      flip: false,
    }));
    expect(images.length * size.width * size.height * 3).toBeGreaterThan(2 * GIGABYTE);
    const none = { counts: new Int32Array(images.length), boxes: new Float32Array(0), labels: new Int32Array(0) };
    const before = process.memoryUsage().arrayBuffers;
    const batch = await addon.createBatch({ size, images, ...none });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    addon.disposeBatch(batch);
  },
);
