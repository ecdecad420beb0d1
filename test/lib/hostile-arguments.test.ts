import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Dataset } from '../../lib/data/dataset.ts';
import { parseYaml } from '../../lib/data/dataset-config.ts';
import { Detector } from '../../lib/detector/detector.ts';
import { cocoAveragePrecision } from '../../lib/evaluation/average-precision.ts';
import { decodeImage } from '../../lib/images/image.ts';
import { checkClasses } from '../../lib/model/class-list.ts';
import { multiStepLearningRate } from '../../lib/training/learning-rate.ts';
import { Trainer } from '../../lib/training/trainer.ts';
import { rewriteManifest } from '../support/manifests.ts';
import { squareClasses } from '../support/squares.ts';
import { expectError, pngOfSize, solid, temporaryFolder } from '../support/voc.ts';

/** 2^32 - 1 elements in a few bytes: whoever visits each of them does not return. */
const endless = () => new Array(2 ** 32 - 1) as never[];

describe('sparse arrays', () => {
  it.each<[string, () => unknown]>([
    ['classes', () => checkClasses('classes', endless())],
    ['milestones', () => multiStepLearningRate({ base: 1, milestones: endless() }, 1)],
    ['images of an evaluation', () => cocoAveragePrecision(endless())],
    ['thresholds', () => cocoAveragePrecision([], { iouThresholds: endless() } as never)],
    ['samples', () => Dataset.from(endless(), { classes: ['a'] })],
  ])('are refused at once: %s', async (_, act) => {
    const began = performance.now();
    await expect((async () => act())()).rejects.toThrow(/\.length|array/);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it('have undefined for their holes', () => {
    expect(() => checkClasses('classes', new Array(2))).toThrow('classes[0]');
  });
});

describe('hostile files', () => {
  it('an image of one long column is refused before it is decoded', async () => {
    await expectError(decodeImage(await pngOfSize(1, 49_999_999)), 'IMAGE_TOO_LARGE', 'a side of 49999999 pixels');
  });

  it('an image that unpacks to more bytes than its pixels say is refused before it is decoded', async () => {
    const deep = await solid(40, 40).toColourspace('rgb16').png().toBuffer();
    const claim = await pngOfSize(10_000, 10_000);
    deep.copy(claim, 24, 24, 26); // 16 bits a channel
    const header = await decodeImage(claim).catch((error) => error);
    expect(header.code).toMatch(/IMAGE_(TOO_LARGE|UNREADABLE)/);
    expect(await decodeImage(deep)).toMatchObject({ width: 40, height: 40 });
  });

  it('a manifest of another size than its weights takes no memory for its model', async () => {
    const dir = join(await temporaryFolder(), 'model');
    await mkdir(dir);
    await using detector = await Detector.create({
      ...{ classes: squareClasses, backbone: 'convnext_test', imageSize: { width: 96, height: 64 } },
    });
    await detector.save(dir);
    const many = Array.from({ length: 90_000 }, (_, i) => `class ${i}`);
    await rewriteManifest(dir, (manifest) => ({ ...manifest, classes: many }));
    const before = process.memoryUsage().rss;
    await expectError(Detector.load(dir), 'WEIGHTS_MISMATCH', 'the manifest names 90000 classes');
    await rewriteManifest(dir, (manifest) => ({
      ...manifest,
      classes: squareClasses,
      model: { ...manifest.model, backbone: 'convnext_large' },
    }));
    await expectError(Detector.load(dir), 'WEIGHTS_MISMATCH', 'its backbone is convnext_test', 'convnext_large');
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  it('a YAML file of thousands of anchors is refused before it is read', async () => {
    const anchors = Array.from({ length: 5000 }, (_, i) => `k${i}: &a${i} 1`).join('\n');
    await expect(parseYaml(anchors)).rejects.toThrow('more than 100 anchors');
    expect(await parseYaml('a: &x [1]\nb: *x\nc: "R&D &co"')).toEqual({ a: [1], b: [1], c: 'R&D &co' });
  });
});

describe('arguments of another kind', () => {
  it.each([undefined, null, 7, {}, []])('are named, and never an internal error: %s', (value) => {
    expect(() => new Trainer(value as never, {} as never)).toThrow('Expected Detector for detector');
    expect(() => multiStepLearningRate(value as never, 1)).toThrow(
      /Expected (object for schedule|number > 0 for base)/,
    );
  });
});
