import { describe, expect, it } from 'vitest';
import { augmentedEpochs, resolveAugmentation, ssdAugmentation } from '../../../../lib/data/augment/options.ts';

const resolve = (value: unknown) => resolveAugmentation('augmentation', value);

describe('resolveAugmentation', () => {
  it('fills in the constants of torchvision', () => {
    expect(resolve('ssd')).toEqual({
      photometricDistort: {
        p: 0.5,
        brightness: [0.875, 1.125],
        contrast: [0.5, 1.5],
        saturation: [0.5, 1.5],
        hue: [-0.05, 0.05],
      },
      zoomOut: { p: 0.5, sideRange: [1, 4] },
      iouCrop: {
        minScale: 0.3,
        maxScale: 1,
        minAspectRatio: 0.5,
        maxAspectRatio: 2,
        samplerOptions: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1],
        trials: 40,
      },
      offForLast: 0.1,
    });
    expect(resolve({ scaleJitter: {}, mosaic: {}, mixup: {} })).toEqual({
      scaleJitter: { p: 1, scaleRange: [0.1, 2] },
      mosaic: { p: 0.5, centerRange: [0.25, 0.75] },
      mixup: { p: 0.5, weightRange: [0.4, 0.6] },
      offForLast: 0.1,
    });
  });

  it('keeps what is given, and gives the same for its own result', () => {
    const own = resolve({ zoomOut: { p: 1, sideRange: [2, 3] }, iouCrop: { minScale: 0.5 }, offForLast: 0 });
    expect(own).toMatchObject({ zoomOut: { p: 1, sideRange: [2, 3] }, iouCrop: { minScale: 0.5, maxScale: 1 } });
    expect(own).toMatchObject({ offForLast: 0 });
    expect(resolve(own)).toEqual(own);
    expect(resolve(JSON.parse(JSON.stringify(own)))).toEqual(own);
    expect(resolve({ ...ssdAugmentation })).toEqual(resolve('ssd'));
  });

  it('is nothing for none, and no transform for {}', () => {
    expect(resolve('none')).toBeUndefined();
    expect(resolve({})).toEqual({ offForLast: 0.1 });
  });

  it.each<[unknown, string]>([
    ['sssd', 'one of none, ssd for augmentation but received "sssd" of type string; did you mean "ssd"?'],
    [1, 'Expected object for augmentation but received 1 of type number'],
    [null, 'Expected object for augmentation but received null'],
    [['ssd'], 'Expected object for augmentation but received array'],
    [{ zoomout: {} }, 'Unknown key "zoomout" in augmentation; did you mean "zoomOut"?'],
    [{ zoomOut: { P: 1 } }, 'Unknown key "P" in augmentation.zoomOut; did you mean "p"?'],
    [{ zoomOut: true }, 'Expected object for augmentation.zoomOut but received true of type boolean'],
    [{ zoomOut: { p: 1.5 } }, 'Expected number from 0 to 1 for augmentation.zoomOut.p but received 1.5'],
    [{ zoomOut: { p: '1' } }, 'augmentation.zoomOut.p but received "1" of type string'],
    [{ zoomOut: { sideRange: [0.5, 2] } }, 'from 1 to 100 for augmentation.zoomOut.sideRange[0] but received 0.5'],
    [{ zoomOut: { sideRange: 2 } }, 'a pair [from, to] of increasing numbers from 1 to 100'],
    [{ zoomOut: { sideRange: [3, 2] } }, 'augmentation.zoomOut.sideRange but received "[3,2]"'],
    [{ zoomOut: { sideRange: [1, 2, 3] } }, 'augmentation.zoomOut.sideRange but received "[1,2,3]"'],
    [{ zoomOut: { sideRange: [2] } }, 'augmentation.zoomOut.sideRange but received "[2]"'],
    [{ zoomOut: { sideRange: [] } }, 'augmentation.zoomOut.sideRange but received "[]"'],
    [{ zoomOut: { sideRange: [1, Number.NaN] } }, 'augmentation.zoomOut.sideRange[1] but received NaN'],
    [{ scaleJitter: { scaleRange: [0, 1] } }, 'augmentation.scaleJitter.scaleRange[0] but received 0'],
    [{ photometricDistort: { hue: [-1, 0] } }, 'from -0.5 to 0.5 for augmentation.photometricDistort.hue[0]'],
    [{ photometricDistort: { contrast: [-1, 1] } }, 'augmentation.photometricDistort.contrast[0] but received -1'],
    [{ iouCrop: { minScale: 0.9, maxScale: 0.5 } }, 'number <= maxScale (0.5) for augmentation.iouCrop.minScale'],
    [{ iouCrop: { minAspectRatio: 3 } }, 'number <= maxAspectRatio (2) for augmentation.iouCrop.minAspectRatio'],
    [{ iouCrop: { minScale: 0 } }, 'augmentation.iouCrop.minScale but received 0'],
    [{ iouCrop: { trials: 0 } }, 'integer from 1 to 1000 for augmentation.iouCrop.trials but received 0'],
    [{ iouCrop: { samplerOptions: [] } }, 'augmentation.iouCrop.samplerOptions.length but received 0'],
    [{ iouCrop: { samplerOptions: [0.5, 2] } }, 'augmentation.iouCrop.samplerOptions[1] but received 2'],
    [{ iouCrop: { samplerOptions: 0.5 } }, 'array of numbers from 0 to 1 for augmentation.iouCrop.samplerOptions'],
    [{ mosaic: { centerRange: [0.5, 1.5] } }, 'augmentation.mosaic.centerRange[1] but received 1.5'],
    [{ mixup: { weightRange: [-1, 0] } }, 'augmentation.mixup.weightRange[0] but received -1'],
    [{ offForLast: 2 }, 'number from 0 to 1 for augmentation.offForLast but received 2'],
  ])('refuses %j', (value, message) => {
    expect(() => resolve(value)).toThrow(message);
  });
});

it('augmentedEpochs leaves out a share of the epochs, to the nearest', () => {
  const epochs = (count: number, offForLast: number) => augmentedEpochs({ offForLast }, count);
  expect([epochs(20, 0.1), epochs(24, 0.1), epochs(8, 0.1), epochs(5, 0.1), epochs(4, 0.1)]).toEqual([18, 22, 7, 4, 4]);
  expect([epochs(20, 0), epochs(20, 1)]).toEqual([20, 0]);
});
