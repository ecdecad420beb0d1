import { describe, expect, it } from 'vitest';
import {
  checkDetectorConfig,
  checkImageSize,
  defaultBoxScales,
  type ModelChoices,
  presetConfig,
  presetMaps,
  readLearning,
} from '../../../lib/model/config.ts';
import type { DefaultBoxOptions } from '../../../lib/model/default-box-options.ts';
import { golden } from '../../support/shared.ts';

const size = { width: 640, height: 640 };

describe('presetConfig', () => {
  it('is RTMDet on the maps of a ConvNeXt', () => {
    const config = presetConfig('dense', 'convnext_tiny', size, { headWidth: 128 });
    expect(config).toMatchObject({ preset: 'dense', head: 'dense', headWidth: 128, features: 'pyramid' });
    expect(config.defaultBoxes).toEqual({ strides: [8, 16, 32] });
    expect(config.postprocess).toMatchObject({ scoreThreshold: 0.001, nmsThreshold: 0.65, topkPer: 'map' });
    expect(config).not.toHaveProperty('scores');
    expect(checkDetectorConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(presetConfig('ssd', 'convnext_tiny', size, { head: 'dense' })).toMatchObject({
      preset: 'ssd',
      head: 'dense',
    });
    const { head: _, ...headless } = config;
    expect(() => checkDetectorConfig(headless)).toThrow('dense with the preset dense');
  });

  it('is the article: torchvision constants on six head entries', () => {
    const config = presetConfig('article', 'convnext_tiny', size);
    expect(config.defaultBoxes).toHaveProperty('aspectRatios', [[2], [2, 3], [2, 3], [2, 3], [2], [2]]);
    expect(config.defaultBoxes).toHaveProperty('scales', [0.15, 0.3, 0.44999999999999996, 0.6, 0.75, 0.9, 1]);
    expect(config.postprocess).toEqual({
      scoreThreshold: 0.01,
      nmsThreshold: 0.45,
      topkCandidates: 400,
      maxDetections: 200,
    });
  });

  it('gives every caller a copy of its own', () => {
    presetConfig('article', 'convnext_tiny', size).mean[0] = 99;
    expect(presetConfig('article', 'convnext_tiny', size).mean[0]).toBe(0.485);
  });

  it('names the presets when asked for another', () => {
    expect(() => presetConfig('articel' as 'article', 'convnext_tiny', size)).toThrow(/did you mean "article"/);
  });
});

describe('choices beside a preset', () => {
  const config = presetConfig('article', 'convnext_tiny', size);
  const chosen = (choices: ModelChoices) => presetConfig('article', 'convnext_tiny', size, choices);

  it('leaves out what is not chosen, so that it is the configuration of earlier checkpoints', () => {
    expect(chosen({})).toStrictEqual(config);
    expect(JSON.stringify(config)).not.toMatch(/loss|assigner|scores|"nms"/);
    expect(chosen({ scores: 'softmax' })).toStrictEqual(config);
  });

  it('keeps of a loss what it makes of scores', () => {
    expect(chosen({ loss: { classification: 'focal' }, nms: 'diou' })).toStrictEqual({
      ...config,
      scores: 'sigmoid',
      postprocess: { ...config.postprocess, nms: 'diou' },
    });
    expect(chosen({ loss: { box: 'giou' } })).toStrictEqual(config);
    expect(config.postprocess).not.toHaveProperty('nms');
  });

  it.each([
    [{ scores: 'softmx' }, 'did you mean "softmax"?'],
    [{ nms: 'soft' }, 'one of plain, diou, weighted for nms'],
    [{ scores: 'softmax', loss: { classification: 'focal' } }, "create the detector with scores: 'sigmoid'"],
  ])('refuses %o', (choices, word) => {
    expect(() => chosen(choices as never)).toThrow(word);
  });
});

describe('the preset ssd', () => {
  const best = presetConfig('ssd', 'convnext_tiny', { width: 640, height: 480 });

  it("is the article's model on a pyramid, under its earlier name too", () => {
    const { preset, features, defaultBoxes, ...rest } = best;
    expect(presetConfig('best', 'convnext_tiny', best.imageSize)).toEqual(best);
    const { preset: _, defaultBoxes: __, ...article } = presetConfig('article', 'convnext_tiny', best.imageSize);
    expect([preset, features]).toEqual(['ssd', 'pyramid']);
    expect(rest).toEqual(article);
    expect(defaultBoxes).toHaveProperty('aspectRatios.length', presetMaps(best).length);
    expect(checkDetectorConfig(JSON.parse(JSON.stringify(best)))).toEqual(best);
  });

  it('leaves the article as it is stored', () => {
    const article = presetConfig('article', 'convnext_tiny', size);
    expect(Object.keys(article)).not.toContain('features');
    const single = presetConfig('ssd', 'convnext_tiny', size, { features: 'last' });
    expect(single).toEqual({ ...article, preset: 'ssd' });
    const raised = presetConfig('article', 'convnext_tiny', best.imageSize, { features: 'pyramid' });
    expect(raised).toEqual({ ...best, preset: 'article' });
  });

  it('takes a fusion, and default boxes for its maps', () => {
    const usual = best.defaultBoxes as DefaultBoxOptions;
    const defaultBoxes = { ...usual, scales: [0.03, ...usual.scales.slice(1)] };
    const config = presetConfig('ssd', 'convnext_tiny', best.imageSize, { fusion: 'fpn', defaultBoxes });
    expect(config).toEqual({ ...best, fusion: 'fpn', defaultBoxes });
    expect(checkDetectorConfig(config)).toEqual(config);
  });

  const one = { aspectRatios: [[2]], scales: [0.1, 1], steps: [], clip: true };
  it.each<[ModelChoices, string]>([
    [{ fusion: 'fpm' as 'fpn' }, 'did you mean "fpn"'],
    [{ features: 'pyramids' as 'pyramid' }, 'did you mean "pyramid"'],
    [{ features: 'last', fusion: 'fpn' }, 'a single map has none to be fused with. Set '],
    [{ defaultBoxes: one }, 'one for each map of the pyramid at 640x480, but received 1. Leave them out'],
  ])('refuses %o, also from a checkpoint', (choices, message) => {
    expect(() => presetConfig('ssd', 'convnext_tiny', best.imageSize, choices)).toThrow(message);
    expect(() => checkDetectorConfig({ ...best, ...choices })).toThrow(message);
  });

  it('leaves the maps of a TorchScript backbone to the addon', () => {
    expect(presetConfig('ssd', 'torchscript', size, { defaultBoxes: one }).defaultBoxes).toEqual(one);
  });
});

describe('the head retinanet', () => {
  const config = presetConfig('article', 'convnext_tiny', size, { head: 'retinanet' });

  it("has torchvision's constants", async () => {
    const { defaults, anchors } = await golden('native/retinanet.json');
    expect(config.postprocess).toEqual({ ...defaults, topkPer: 'map' });
    const { sizes, aspectRatios } = anchors[0];
    expect(config.defaultBoxes).toEqual({ sizes, aspectRatios });
    expect(config).toMatchObject({
      ...{ head: 'retinanet', features: 'pyramid', fusion: 'fpn' },
    });
  });

  it('is as a checkpoint stores it, and gives every caller a copy', () => {
    expect(checkDetectorConfig(JSON.parse(JSON.stringify(config)))).toStrictEqual(config);
    presetConfig('article', 'convnext_tiny', size, { head: 'retinanet' }).postprocess.nms = 'diou';
    expect(presetConfig('article', 'convnext_tiny', size, { head: 'retinanet' })).toEqual(config);
    expect(presetConfig('ssd', 'convnext_tiny', size, { head: 'retinanet' })).toEqual({ ...config, preset: 'ssd' });
  });

  it('has five maps', () => {
    const maps = presetMaps({ ...config, imageSize: { width: 640, height: 416 } });
    expect(maps.map(({ width, height }) => `${width}x${height}`)).toEqual(['80x52', '40x26', '20x13', '10x7', '5x4']);
  });

  const ssd = presetConfig('ssd', 'convnext_tiny', size).defaultBoxes;
  const four = { sizes: [[32], [64], [128], [256]], aspectRatios: [1] };
  it.each<[object, ...string[]]>([
    [{ fusion: 'none' }, 'Expected fpn with the head retinanet', 'fusion but received "none"', 'Leave it out'],
    [{ features: 'last' }, 'Expected pyramid with the head retinanet', 'features', 'Leave it out, or set head to ssd'],
    [
      { defaultBoxes: ssd },
      'Expected sizes and aspectRatios in',
      'received scales',
      'dinov3-det analyze --head retinanet',
    ],
    [{ defaultBoxes: four }, 'Expected 5 lists for', 'at 640x640, but received 4', 'analyze --head retinanet'],
  ])('refuses %o, also from a checkpoint', (choices, ...words) => {
    for (const word of words) {
      expect(() => presetConfig('article', 'convnext_tiny', size, { head: 'retinanet', ...choices })).toThrow(word);
      expect(() => checkDetectorConfig({ ...config, ...choices })).toThrow(word);
    }
  });

  it('refuses a softmax, and anchors for the head ssd', () => {
    const softmax = { head: 'retinanet', loss: { classification: 'hard-negative' } } as const;
    expect(() => presetConfig('article', 'convnext_tiny', size, softmax)).toThrow(
      /Expected sigmoid with the head retinanet, .*scores.*set head to ssd/,
    );
    for (const refused of [{ loss: softmax.loss }, { scores: 'softmax' }]) {
      expect(() => checkDetectorConfig({ ...config, ...refused })).toThrow(
        /Expected sigmoid with the head retinanet, whose scores are sigmoids, for model.scores .*set head to ssd/,
      );
    }
    const anchors = { defaultBoxes: config.defaultBoxes };
    const remedy =
      'Expected aspectRatios and scales in defaultBoxes for the head ssd but received sizes. Leave them out';
    expect(() => presetConfig('article', 'convnext_tiny', size, anchors)).toThrow(remedy);
    expect(() => presetConfig('article', 'convnext_tiny', size, { head: 'retina' as 'ssd' })).toThrow('did you mean');
  });
});

describe('defaultBoxScales', () => {
  it('is the golden one for the article', async () => {
    const { article_anchors: reference } = await golden('ssd_golden.json');
    expect(defaultBoxScales(6, 0.15, 0.9)).toEqual(reference.scales);
  });
  it('spreads evenly and ends with 1', () => expect(defaultBoxScales(3, 0.2, 0.8)).toEqual([0.2, 0.5, 0.8, 1]));
  it('gives one map both ratios', () => expect(defaultBoxScales(1, 0.15, 0.9)).toEqual([0.15, 0.9]));
});

describe('checkImageSize', () => {
  it.each([
    [{ width: 100, height: 64 }, /multiple of 32 for imageSize.width but received 100/],
    [{ width: 64, height: 65 }, /multiple of 32 for imageSize.height/],
    [{ width: 32, height: 64 }, /integer from 64 to 4096 for imageSize.width/],
    [{ width: 64, height: 8192 }, /integer from 64 to 4096 for imageSize.height/],
    [{ width: 64.5, height: 64 }, /integer/],
    [{ width: Number.NaN, height: 64 }, /integer/],
  ])('refuses %o', (value, message) => {
    expect(() => checkImageSize('imageSize', value)).toThrow(RangeError);
    expect(() => checkImageSize('imageSize', value)).toThrow(message);
  });

  it('takes the smallest and an uneven one', () => {
    expect(checkImageSize('s', { width: 64, height: 4096 })).toEqual({ width: 64, height: 4096 });
  });
});

describe('presetMaps', () => {
  it('is one map of stride 32', () => {
    const config = presetConfig('article', 'convnext_tiny', { width: 640, height: 320 });
    expect(presetMaps(config)).toEqual([{ width: 20, height: 10 }]);
  });
  it('is a pyramid for ssd', () => {
    const maps = presetMaps(presetConfig('ssd', 'convnext_tiny', { width: 128, height: 64 }));
    expect(maps.map(({ width, height }) => [width, height])).toEqual([[16, 8], [8, 4], [4, 2], [2, 1]]); // biome-ignore format: one line
  });
});

describe('checkDetectorConfig', () => {
  const valid = () => JSON.parse(JSON.stringify(presetConfig('article', 'convnext_base', size)));

  it('takes what a checkpoint holds', () => expect(checkDetectorConfig(valid())).toStrictEqual(valid()));

  it('reads the earlier name of a preset, and what the loss of its training made of scores', () => {
    const loss = { classification: 'focal', box: 'giou', backgroundNegatives: false };
    const earlier = { ...valid(), preset: 'best', loss, assigner: 'atss' };
    expect(checkDetectorConfig(earlier)).toStrictEqual({ ...valid(), preset: 'ssd', scores: 'sigmoid' });
    expect(readLearning(earlier)).toEqual({
      loss: { classification: 'focal', box: 'giou' },
      backgroundNegatives: false,
      assigner: 'atss',
    });
    const softmax = { ...earlier, loss: { ...loss, classification: 'hard-negative', backgroundNegatives: true } };
    expect(checkDetectorConfig(softmax)).toStrictEqual({ ...valid(), preset: 'ssd' });
    expect(readLearning(valid())).toEqual({});
  });

  it.each([
    ['mean', [0.5, 0.5], 'model.mean.length'],
    ['mean', [0.5, 0.5, '0.5'], 'model.mean[2]'],
    ['std', [1, 1, 0], 'model.std[2]'],
    ['backbone', 'resnet', 'model.backbone'],
    ['defaultBoxes', { aspectRatios: [[2]], scales: [0.1], steps: [], clip: true }, 'model.defaultBoxes.scales.length'],
    ['defaultBoxes', { aspectRatios: [[2], [2]], scales: [0.1, 0.2, 1], steps: [8], clip: true }, 'steps'],
    ['defaultBoxes', { aspectRatios: [[-2]], scales: [0.1, 1], steps: [], clip: true }, 'aspectRatios[0][0]'],
    ['postprocess', { scoreThreshold: 2, nmsThreshold: 0.5, topkCandidates: 1, maxDetections: 1 }, 'scoreThreshold'],
    ['scores', 'softmx', 'model.scores'],
    ['loss', { classification: 'focal', backgroundNegatives: true }, 'model.loss.backgroundNegatives'],
    ['assigner', 'nearest', 'model.assigner'],
    ['postprocess', { ...valid().postprocess, nms: 'none' }, 'model.postprocess.nms'],
    ['extra', 1, 'Unknown key "extra"'],
  ])('refuses a wrong %s', (key, value, word) => {
    expect(() => checkDetectorConfig({ ...valid(), [key]: value })).toThrow(word);
  });
});
