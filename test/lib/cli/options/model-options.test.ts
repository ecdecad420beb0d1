import { join } from 'node:path';
import { Command } from 'commander';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { addModelOptions, checkSameModel, modelOptions } from '../../../../lib/cli/options/model-options.ts';
import { UsageError } from '../../../../lib/cli/usage-error.ts';
import { presetConfig } from '../../../../lib/model/config.ts';
import { layoutSafetensors } from '../../../../lib/weights/safetensors.ts';
import { storedZip } from '../../../support/stored-zip.ts';
import { temporaryFolder, writeFiles } from '../../../support/voc.ts';

let folder: string;
let weights: string;
let program: string;

beforeEach(async () => {
  vi.stubEnv('DINOv3_WEIGHTS', undefined);
  folder = await temporaryFolder();
  weights = join(folder, 'w.safetensors');
  program = join(folder, 'backbone.pt');
  const archive = storedZip([['backbone/constants.pkl', Buffer.from('N.')]]);
  await writeFiles(folder, { 'w.safetensors': layoutSafetensors([]).header, 'backbone.pt': archive });
});

describe('modelOptions', () => {
  it('leaves to the library what is not said', async () => {
    expect(await modelOptions({})).toEqual({});
  });

  it("maps the article's options", async () => {
    const flags = { weights, modelName: 'dinov3_convnext_small', imageSize: [640, 480], preset: 'article' } as const;
    expect(await modelOptions({ ...flags, imageSize: [...flags.imageSize] })).toEqual({
      preset: 'article',
      backbone: 'convnext_small',
      imageSize: { width: 640, height: 480 },
      weights,
    });
  });

  it('takes what Detector.create takes instead of the preset', async () => {
    const read = (args: string) =>
      modelOptions(addModelOptions(new Command()).parse(args.split(' '), { from: 'user' }).opts());
    const args = '--head retinanet --classification-loss focal --nms diou --imgsz 640 480 --preset BEST';
    expect(await read(args)).toEqual({
      ...{ preset: 'best', head: 'retinanet', nms: 'diou', scores: 'sigmoid' },
      imageSize: { width: 640, height: 480 },
    });
    expect(await read('--scores softmax --loss-classification focal')).toEqual({ scores: 'softmax' });
    expect(await read('--fusion none --features last --nms none')).toEqual({
      fusion: 'none',
      features: 'last',
      nms: null,
    });
  });

  it('takes a TorchScript file for the backbone, by either option', async () => {
    const expected = { backbone: { torchscript: program } };
    expect(await modelOptions({ backbone: program })).toEqual(expected);
    // The article's command always names a model as well.
    expect(await modelOptions({ weights: program, modelName: 'dinov3_convnext_tiny' })).toEqual(expected);
  });

  it('trusts a TorchScript file only when told to', async () => {
    expect(await modelOptions({ backbone: program, trustTorchScript: true })).toEqual({
      backbone: { torchscript: program },
      trustTorchScript: true,
    });
    for (const flag of ['--trust-torchscript', '--trust-torch-script']) {
      const parsed = addModelOptions(new Command()).parse([flag], { from: 'user' }).opts();
      expect(await modelOptions(parsed)).toEqual({ trustTorchScript: true });
    }
  });

  it.each([
    ['weights beside a TorchScript backbone', () => ({ backbone: program, weights }), 'contains its weights'],
    ['a second backbone', () => ({ backbone: 'convnext_tiny', weights: program }), 'is itself a backbone'],
    ['weights as the backbone', () => ({ backbone: weights }), 'Give it with --weights'],
    ['an unknown backbone', () => ({ backbone: 'resnet50' }), 'found "resnet50"'],
  ])('refuses %s', async (_, flags, message) => {
    const result = modelOptions(flags());
    await expect(result).rejects.toThrow(UsageError);
    await expect(result).rejects.toThrow(message);
  });
});

describe('checkSameModel', () => {
  const config = presetConfig('article', 'convnext_tiny', { width: 640, height: 480 });

  it('takes the same model, and none', () => {
    checkSameModel({}, config);
    checkSameModel({ preset: 'article', fusion: 'none' }, config);
    checkSameModel({ fusion: 'fpn' }, presetConfig('best', 'convnext_tiny', config.imageSize, { fusion: 'fpn' }));
    checkSameModel({ backbone: 'convnext_tiny', imageSize: { width: 640, height: 480 } }, config);
  });

  it('refuses another', () => {
    const turned = { imageSize: { width: 480, height: 640 } };
    expect(() => checkSameModel(turned, config)).toThrow('--imgsz 480 640: the run to resume has 640 480');
    expect(() => checkSameModel({ backbone: 'convnext_base' }, config)).toThrow('convnext_tiny, not convnext_base');
    expect(() => checkSameModel({ backbone: { torchscript: 'a.pt' } }, config)).toThrow('not torchscript');
    expect(() => checkSameModel({ preset: 'ssd' }, config)).toThrow('--preset ssd: the run to resume has the preset');
    expect(() => checkSameModel({ fusion: 'fpn' }, config)).toThrow(
      '--fusion fpn: the run to resume has the fusion none',
    );
  });

  it.each([
    [{ head: 'retinanet' }, '--head retinanet: the run to resume has the head ssd'],
    [{ scores: 'sigmoid' }, '--scores sigmoid: the run to resume has the scores softmax'],
    [{ nms: 'diou' }, '--nms diou: the run to resume has the NMS plain'],
  ] as const)('refuses %j', (options, message) => {
    expect(() => checkSameModel(options, config)).toThrow(UsageError);
    expect(() => checkSameModel(options, config)).toThrow(message);
  });

  it("takes a run's own choices", () => {
    const retinaNet = presetConfig('article', 'convnext_tiny', config.imageSize, { head: 'retinanet' });
    checkSameModel({ head: 'retinanet', fusion: 'fpn', scores: 'sigmoid', nms: 'plain' }, retinaNet);
    checkSameModel({ preset: 'best' }, presetConfig('ssd', 'convnext_tiny', config.imageSize));
    expect(() => checkSameModel({ head: 'ssd' }, retinaNet)).toThrow('--head ssd: the run to resume has the head retinanet'); // biome-ignore format: one line
  });
});
