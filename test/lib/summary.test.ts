import { describe, expect, it } from 'vitest';
import { presetConfig } from '../../lib/config.ts';
import { Detector } from '../../lib/detector.ts';
import { summarize } from '../../lib/summary.ts';

describe('summary', () => {
  it('has the article numbers for convnext_tiny at 640 x 640 with 21 classes', async () => {
    const classes = ['__background__', ...Array.from({ length: 20 }, (_, i) => `class${i}`)];
    await using detector = await Detector.create({ classes });
    const { rows, ...totals } = await detector.summary();
    expect(totals).toEqual({ totalParameters: 33_004_878, trainableParameters: 5_184_750, defaultBoxes: 1600 });
    const row = (name: string) => rows.find((candidate) => candidate.name.startsWith(name));
    expect(row('regression_head')).toMatchObject({ outputShape: [1, 1600, 4], parameters: 829_560 });
    expect(row('classification_head')).toMatchObject({ outputShape: [1, 1600, 21], parameters: 4_355_190 });
    expect(row('backbone')).toMatchObject({ outputShape: [1, 768, 20, 20], parameters: 27_820_128 });
    expect(row('norm')).toMatchObject({ parameters: 1536 });
    expect((await detector.summary({ fineTune: true })).trainableParameters).toBe(33_004_878);
  });

  it('adds default boxes over several maps', () => {
    const config = presetConfig('article', 'torchscript', { width: 64, height: 128 });
    const maps = [
      { channels: 8, height: 4, width: 2 },
      { channels: 16, height: 2, width: 1 },
    ];
    const tensors = [{ name: 'head.x', dtype: 'F32' as const, shape: [3, 5] }];
    const summary = summarize(config, 3, tensors, maps, false);
    expect(summary.defaultBoxes).toBe(4 * 2 * 4 + 2 * 1 * 6);
    expect(summary.trainableParameters).toBe(15);
  });
});
