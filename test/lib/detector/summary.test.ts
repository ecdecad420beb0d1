import { describe, expect, it } from 'vitest';
import { Detector } from '../../../lib/detector/detector.ts';
import { summarize } from '../../../lib/detector/summary.ts';
import { presetConfig } from '../../../lib/model/config.ts';
import { fixture } from '../../support/shared.ts';

describe('summary', () => {
  it('has the article numbers for convnext_tiny at 640 x 640 with 21 classes', async () => {
    const classes = ['__background__', ...Array.from({ length: 20 }, (_, i) => `class${i}`)];
    await using detector = await Detector.create({ classes, preset: 'article' });
    const { rows, ...totals } = await detector.summary();
    expect(totals).toEqual({ totalParameters: 33_004_878, trainableParameters: 5_184_750, defaultBoxes: 1600 });
    const row = (name: string) => rows.find((candidate) => candidate.name.startsWith(name));
    expect(row('regression_head')).toMatchObject({ outputShape: [1, 1600, 4], parameters: 829_560 });
    expect(row('classification_head')).toMatchObject({ outputShape: [1, 1600, 21], parameters: 4_355_190 });
    expect(row('backbone')).toMatchObject({ outputShape: [1, 768, 20, 20], parameters: 27_820_128 });
    expect(row('norm')).toMatchObject({ parameters: 1536 });
    expect((await detector.summary({ fineTune: true })).trainableParameters).toBe(33_004_878);
  });

  it('shows the layers of a pyramid, which are trained with the head', async () => {
    const [classes, imageSize] = [['__background__', 'a'], { width: 128, height: 64 }];
    const options = { classes, imageSize, preset: 'best', fusion: 'fpn', backbone: 'convnext_test' } as const;
    await using detector = await Detector.create(options);
    const { rows, ...totals } = await detector.summary();
    const shapes = rows.map(({ name, inputShape, outputShape }) => `${name}: ${inputShape} > ${outputShape}`);
    expect(shapes).toEqual(
      expect.arrayContaining([
        'backbone (convnext_test): 1,3,64,128 > 1,192,2,4',
        'norms.1: 1,48,8,16 > 1,48,8,16',
        'neck (FeaturePyramid): 1,48,8,16 > 1,192,1,2',
        'inner_blocks.1: 1,96,4,8 > 1,192,4,8',
        'layer_blocks.2: 1,192,2,4 > 1,192,2,4',
        'extras.0: 1,192,2,4 > 1,192,1,2',
      ]),
    );
    const row = (name: string) => rows.find((candidate) => candidate.name.startsWith(name))!.parameters;
    expect(row('inner_blocks.1')).toBe(96 * 192 + 192);
    expect(row('extras.0')).toBe(192 * 96 + 3 * 96 + 9 * 96 * 192 + 3 * 192);
    const parts = rows.filter(({ name }) => /^(inner|layer)_blocks|^extras/.test(name));
    expect(row('neck')).toBe(parts.reduce((sum, { parameters }) => sum + parameters, 0));
    expect(totals.totalParameters).toBe(row('backbone') + row('neck') + row('head'));
    expect(totals.trainableParameters).toBe(row('neck') + row('head'));
    expect(totals.defaultBoxes).toBe(8 * 16 * 4 + 4 * 8 * 6 + 2 * 4 * 4 + 2 * 4);
  });

  it('shows how one map of a program becomes several', async () => {
    const backbone = { torchscript: fixture('native/torchscript/one_map.pt') };
    const imageSize = { width: 64, height: 64 };
    await using detector = await Detector.create({
      classes: ['__background__', 'a'],
      preset: 'best',
      imageSize,
      backbone,
    });
    const { rows } = await detector.summary();
    const shapes = rows.map(({ name, inputShape, outputShape }) => `${name}: ${inputShape} > ${outputShape}`);
    expect(shapes).toEqual(
      expect.arrayContaining([
        'backbone (torchscript): 1,3,64,64 > 1,8,2,2',
        'neck (FeaturePyramid): 1,8,2,2 > 1,8,2,2',
        'upsamples.0: 1,8,2,2 > 1,4,4,4',
        'upsamples.1: 1,4,4,4 > 1,2,8,8',
      ]),
    );
  });

  it('adds default boxes over several maps', () => {
    const config = presetConfig('article', 'torchscript', { width: 64, height: 128 });
    const maps = [
      { channels: 8, height: 4, width: 2 },
      { channels: 16, height: 2, width: 1 },
    ];
    const tensors = [{ name: 'head.x', dtype: 'F32' as const, shape: [3, 5] }];
    const summary = summarize({ config, classes: ['a', 'b'] }, tensors, maps, {});
    expect(summary.defaultBoxes).toBe(4 * 2 * 4 + 2 * 1 * 6);
    expect(summary.trainableParameters).toBe(15);
  });
});
