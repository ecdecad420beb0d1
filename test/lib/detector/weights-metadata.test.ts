import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { version } from '../../../lib/base/version.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import type { DetectorOptions } from '../../../lib/detector/detector-options.ts';
import { exportDetector } from '../../../lib/detector/export-detector.ts';
import { describeWeights } from '../../../lib/detector/weights-metadata.ts';
import { layoutSafetensors, readSafetensorsHeader } from '../../../lib/weights/safetensors.ts';
import { expectError, noise, temporaryFolder } from '../../support/voc.ts';

const classes = ['cat', 'dog'];
const small = { classes, backbone: 'convnext_test', imageSize: { width: 64, height: 64 } } satisfies DetectorOptions;
const image = { data: await noise(64, 64).raw().toBuffer(), width: 64, height: 64 };
const all = { scoreThreshold: 0, maxDetections: 1000 };

const models: [string, Partial<DetectorOptions>][] = [
  ['the article', {}],
  ['focal loss', { loss: { classification: 'focal', box: 'giou' }, assigner: 'atss' }],
  ['a fused pyramid', { preset: 'best', fusion: 'fpn', nms: 'diou' }],
  ['RetinaNet', { head: 'retinanet' }],
  ['RetinaNet with anchors of its own', { head: 'retinanet', defaultBoxes: { sizes: Array.from({ length: 5 }, (_, k) => [8 * 2 ** k]), aspectRatios: [1] } }], // biome-ignore format: one line
];

/** The path of a detector's file, exported or in a checkpoint. */
async function fileOf(options: DetectorOptions, kind: 'exported' | 'checkpoint' = 'exported'): Promise<string> {
  const folder = await temporaryFolder();
  await using detector = await Detector.create(options);
  const path = join(folder, kind === 'exported' ? 'detector.safetensors' : 'best/model.safetensors');
  if (kind === 'exported') await exportDetector(detector, path, { format: 'safetensors' });
  else await detector.save(join(folder, 'best'));
  return path;
}

describe('a file of a detector as weights', () => {
  it.each(models)('needs nothing else but the classes: %s', async (_, chosen) => {
    await using original = await Detector.create({ ...small, ...chosen });
    const expected = await original.detect(image, all);
    for (const kind of ['exported', 'checkpoint'] as const) {
      const weights = await fileOf({ ...small, ...chosen }, kind);
      await using loaded = await Detector.create({ classes, seed: 7, weights });
      expect(loaded.config).toEqual(original.config);
      expect(loaded.weightReport).toMatchObject({ head: true, missing: [], unexpected: [], wrongShape: [] });
      expect(await loaded.detect(image, all)).toEqual(expected);
    }
  });

  it('takes other names for the classes, and options that leave the head its meaning', async () => {
    const weights = await fileOf({ ...small, loss: { classification: 'focal' } });
    const names = ['__background__', 'Katze', 'Hund'];
    const own = { imageSize: { width: 96, height: 64 }, nms: 'weighted', loss: { box: 'ciou' } } as const;
    await using detector = await Detector.create({ ...own, classes: names, weights });
    expect(detector.weightReport?.head).toBe(true);
    expect(detector.config).toMatchObject({
      imageSize: own.imageSize,
      scores: 'sigmoid',
      postprocess: { nms: 'weighted' },
    });
  });

  it('is all but the new classes for other classes, and the backbone alone for another shape of detector', async () => {
    const weights = await fileOf({ ...small, fusion: 'fpn', loss: { classification: 'focal' } });
    const others = { ...small, classes: [...classes, 'bird'], weights };
    await using more = await Detector.create(others);
    expect(more.config).toMatchObject({ fusion: 'fpn', scores: 'sigmoid' });
    expect(more.weightReport).toMatchObject({ head: false, classes: { kept: classes, added: ['bird'] } });
    await using article = await Detector.create({ ...small, preset: 'article', weights });
    expect(article.config.features).toBeUndefined();
    expect(article.weightReport?.head).toBe(false);
  });

  it.each<[string, Partial<DetectorOptions>, Partial<DetectorOptions>, string[]]>([
    [
      'softmax for a sigmoid head',
      { loss: { classification: 'focal' } },
      { loss: { classification: 'hard-negative' } },
      ['loss.classification hard-negative', 'trained with focal', '--classification-loss', '--part backbone'],
    ],
    [
      'sigmoids for a softmax head',
      {},
      { loss: { classification: 'focal' } },
      ['loss.classification focal', 'trained with hard-negative'],
    ],
    ['another head', { head: 'retinanet' }, { head: 'ssd' }, ['head ssd', 'trained with retinanet', '--head']],
    ['another head', {}, { head: 'retinanet' }, ['head retinanet', 'trained with ssd']],
    [
      'the classes in another order',
      {},
      { classes: ['__background__', 'dog', 'cat'] },
      ['order of classes dog, cat', 'trained with cat, dog'],
    ],
  ])('refuses %s', async (_, trained, asked, words) => {
    const weights = await fileOf({ ...small, ...trained });
    await expectError(Detector.create({ ...small, ...asked, weights }), 'WEIGHTS_MISMATCH', weights, ...words);
  });

  it('says nothing when it holds a backbone alone', async () => {
    const path = join(await temporaryFolder(), 'backbone.safetensors');
    await using detector = await Detector.create({ ...small, preset: 'best', head: 'retinanet' });
    await exportDetector(detector, path, { format: 'safetensors', part: 'backbone' });
    await using other = await Detector.create({ ...small, weights: path });
    expect(other.config.head).toBeUndefined();
  });

  it.each([
    ['loss', '{"classification":"vocal"}', 'loss.classification'],
    ['head', 'yolo', 'one of ssd, retinanet, dense for head'],
    ['classes', '[1]', 'classes[0]'],
    ['image_size', '{', 'image_size'],
    ['default_boxes', '{"sizes":[]}', 'default_boxes.sizes.length'],
  ])('is refused when its metadata are not sound: %s %s', async (key, value, word) => {
    const path = await fileOf(small);
    const { tensors, metadata } = await readSafetensorsHeader(path);
    const bytes = await readFile(path);
    const { header, totalBytes, tensors: moved } = layoutSafetensors(tensors, { ...metadata, [key]: value });
    const file = Buffer.alloc(totalBytes);
    header.copy(file);
    for (const { name, offset } of moved) {
      const from = tensors.find((tensor) => tensor.name === name)!;
      bytes.copy(file, offset, from.offset, from.offset + from.byteLength);
    }
    await writeFile(path, file);
    const words = key === 'image_size' ? ['JSON'] : [word];
    await expectError(Detector.create({ ...small, weights: path }), 'WEIGHTS_INVALID', path, 'Export the detector anew', ...words); // biome-ignore format: one line
  });
});

describe('describeWeights', () => {
  it('says what was chosen, and default boxes that are not the usual ones', async () => {
    await using detector = await Detector.create({ ...small, head: 'retinanet', nms: 'weighted' });
    const said = describeWeights(detector);
    expect(said).toEqual({
      ...{ format: 'pt', created_by: `dinov3-det ${version}`, classes: '["__background__","cat","dog"]' },
      ...{ image_size: '{"width":64,"height":64}', preset: 'ssd', backbone: 'convnext_test' },
      ...{ head: 'retinanet', features: 'pyramid', fusion: 'fpn', nms: 'weighted' },
    });
    const boxes = { sizes: [[8], [16], [32], [64], [128]], aspectRatios: [1] };
    await using own = await Detector.create({ ...small, head: 'retinanet', defaultBoxes: boxes });
    expect(JSON.parse(describeWeights(own).default_boxes!)).toEqual(boxes);
  });
});
