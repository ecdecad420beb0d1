import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeDrawnScenes } from '../../lib/cli/demo/drawn-scenes.ts';
import { decodeImage } from '../../lib/images/image.ts';
import { node } from '../support/cli.ts';

let folder: string;
let config: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dinov3-det-test-'));
  config = await writeDrawnScenes(join(folder, 'scenes'), { train: 6, valid: 2, test: 1, seed: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

// One after the other: the later ones use what the first one trains.
it('train.ts, evaluate.ts and detect.ts do what they say', async () => {
  const run = join(folder, 'run');
  const trained = await node(['examples/train.ts', config, run, 'convnext_test', '1']);
  expect(trained.code, trained.error).toBe(0);
  expect(trained.out).toContain('The data set is in order\nepoch 1, step 1 of 1: loss ');
  expect(trained.out).toMatch(/epoch 1: mAP 0\.\d{4}, mAP@0\.5 0\.\d{4}\nBest mAP 0\.\d{4} at epoch 1: .*run\/best\n$/);

  const measured = await node(['examples/evaluate.ts', join(run, 'best'), config]);
  expect(measured.code, measured.error).toBe(0);
  expect(measured.out).toMatch(/^COCO mAP@0\.5:0\.95 0\.\d{4}, mAP@0\.5 0\.\d{4}; VOC mAP 0\.\d{4}\n/);

  const image = join(folder, 'scenes', 'JPEGImages', '000009.jpg');
  const annotated = join(folder, 'annotated.jpg');
  const detected = await node(['examples/detect.ts', join(run, 'best'), image, annotated]);
  expect(detected.code, detected.error).toBe(0);
  expect(detected.out).toContain(` objects: ${annotated}\n`);
  expect(await decodeImage(annotated)).toMatchObject({ width: 160, height: 128 });
});
