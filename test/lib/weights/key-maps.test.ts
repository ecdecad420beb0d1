import { describe, expect, it } from 'vitest';
import { articleNames, backboneOf, findKeyMap, keyMaps, mapKey, releasedNames } from '../../../lib/weights/key-maps.ts';
import { backboneKeys, depths, extraKeys, headKeys, type Naming } from '../../support/convnext-keys.ts';

const sources: [Naming, string][] = [
  ['dinov3-det', 'dinov3-det'],
  ['dinov3', 'facebookresearch/dinov3'],
  ['convnext', 'facebookresearch/ConvNeXt'],
  ['huggingface', 'Hugging Face DINOv3ConvNext'],
  ['huggingface-model', 'Hugging Face DINOv3ConvNext'],
  ['timm', 'timm'],
  ['article', "the article's torchvision SSD"],
  ['mmdet', 'mmdet'],
];
const ours = backboneKeys('dinov3-det', depths.convnext_tiny);

describe('key maps', () => {
  it('are tested against names that are all different and as many as the model has', () => {
    expect(ours).toHaveLength(180); // DINOv3's convnext_tiny: 4 x 4, 18 blocks x 9, 2
    expect(new Set(ours).size).toBe(180);
    expect(ours).toContain('backbone.stages.2.8.pwconv2.bias');
    expect(keyMaps).toHaveLength(new Set(sources.map(([, source]) => source)).size);
  });

  it.each(sources)('know every name of convnext_tiny as %s writes it', (naming, source) => {
    const theirs = backboneKeys(naming, depths.convnext_tiny);
    const map = findKeyMap([...theirs, ...extraKeys[naming]])!;
    expect(map.source).toBe(source);
    expect(theirs.map((name) => mapKey(map, name))).toEqual(ours);
    for (const name of extraKeys[naming]) expect(mapKey(map, name), name).toBeUndefined();
  });

  it.each(['dinov3', 'article', 'mmdet'] as const)('know what a file has twice (%s)', (naming) => {
    const names = [...backboneKeys(naming, depths.convnext_tiny), ...extraKeys[naming]];
    const { alias } = findKeyMap(names)!;
    expect(names.filter((name) => alias!.test(name))).toEqual(extraKeys[naming]);
  });

  it.each(['dinov3-det', 'article'] as const)('know the head (%s)', (naming) => {
    const map = findKeyMap([...backboneKeys(naming, depths.convnext_tiny), ...headKeys])!;
    expect(headKeys.map((name) => mapKey(map, name))).toEqual(headKeys);
  });

  it.each([
    ['article', articleNames, headKeys],
    ['dinov3', releasedNames, []],
  ] as const)('give the names back that %s writes', (naming, namesOf, head) => {
    const theirs = [...backboneKeys(naming, depths.convnext_tiny), ...extraKeys[naming], ...head];
    expect([...ours, ...headKeys].flatMap(namesOf).sort()).toEqual(theirs.sort());
  });

  it("leave timm's and torchvision's classifiers out", () => {
    const timm = findKeyMap(backboneKeys('timm', depths.convnext_tiny))!;
    expect(mapKey(timm, 'head.fc.weight')).toBeUndefined();
    const article = findKeyMap(backboneKeys('article', depths.convnext_tiny))!;
    expect(mapKey(article, 'head.fc.weight')).toBeUndefined();
    expect(mapKey(article, 'stages.0.0.gamma')).toBeUndefined();
  });

  it('take no part of a name for the whole', () => {
    const map = findKeyMap(backboneKeys('dinov3', depths.convnext_tiny))!;
    for (const name of [
      'x.norm.weight',
      'norm.weight.x',
      'stages.4.0.gamma',
      'stages.0.0.gamma.x',
      'stages.0.x.gamma',
    ]) {
      expect(mapKey(map, name), name).toBeUndefined();
    }
  });

  it.each([
    ['nothing', []],
    ['a ViT of DINOv3', ['cls_token', 'patch_embed.proj.weight', 'blocks.0.attn.qkv.weight', 'norm.weight']],
    ['a ViT with a classifier', ['patch_embed.proj.weight', 'head.weight', 'head.bias']],
    ['a ResNet', ['conv1.weight', 'layer1.0.conv1.weight', 'fc.weight']],
    ['a ConvNeXt of torchvision', ['features.0.0.weight', 'features.1.0.layer_scale', 'classifier.2.weight']],
  ])('do not take %s for a ConvNeXt', (_, names) => {
    expect(findKeyMap(names)).toBeUndefined();
  });
});

describe('backboneOf', () => {
  const tensors = (channels: number, blocks: number) => [
    { name: 'backbone.downsample_layers.0.0.weight', dtype: 'F32' as const, shape: [channels, 3, 4, 4] },
    ...Array.from({ length: blocks }, (_, index) => ({
      name: `backbone.stages.2.${index}.gamma`,
      dtype: 'F32' as const,
      shape: [4 * channels],
    })),
  ];
  it.each([
    ['convnext_test', 24, 2],
    ['convnext_tiny', 96, 9],
    ['convnext_small', 96, 27],
    ['convnext_base', 128, 27],
    ['convnext_large', 192, 27],
    [undefined, 256, 27],
    [undefined, 96, 3],
  ])('%s has a stem of %i channels and %i blocks in its third stage', (name, channels, blocks) => {
    expect(backboneOf(tensors(channels, blocks))).toBe(name);
  });
  it('is nothing for no tensors', () => expect(backboneOf([])).toBeUndefined());
});
