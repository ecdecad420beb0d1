import { describe, expect, it } from 'vitest';
import { parameterOptions } from '../../../lib/training/parameter-groups.ts';

const shapes: [name: string, shape: number[]][] = [
  ['backbone.downsample_layers.0.0.weight', [96, 3, 4, 4]],
  ['backbone.downsample_layers.1.1.weight', [192, 96, 2, 2]],
  ['backbone.downsample_layers.2.0.bias', [192]],
  ['backbone.downsample_layers.3.1.weight', [768, 384, 2, 2]],
  ['backbone.stages.0.2.gamma', [96]],
  ['backbone.stages.1.0.dwconv.weight', [192, 1, 7, 7]],
  ...Array.from({ length: 9 }, (_, block): [string, number[]] => [
    `backbone.stages.2.${block}.pwconv1.weight`,
    [1536, 384],
  ]),
  ['backbone.stages.3.2.norm.weight', [768]],
  ['backbone.norm.weight', [768]],
  ['head.classification_head.module_list.0.weight', [84, 768, 3, 3]],
  ['head.classification_head.module_list.0.bias', [84]],
];
const tensors = shapes.map(([name, shape]) => ({ name, shape, dtype: 'F32' as const }));
const options = (given: Omit<Parameters<typeof parameterOptions>[1], 'optimizer'>) =>
  new Map(parameterOptions(tensors, { optimizer: 'adamw', ...given }).map((each) => [each.name, each]));

describe('parameterOptions', () => {
  it("has torch.optim's defaults", () => {
    for (const each of options({}).values()) expect(each).toMatchObject({ learningRateFactor: 1, weightDecay: 0.01 });
    const [first] = parameterOptions(tensors, { optimizer: 'sgd' });
    expect(first).toMatchObject({ weightDecay: 0 });
  });

  it('leaves biases, norms and layer scales without decay where it is asked to', () => {
    const found = options({ weightDecay: 0.05, decayWeightsOnly: true });
    const decaying = [...found.values()].filter(({ weightDecay }) => weightDecay === 0.05).map(({ name }) => name);
    expect([...found.values()].every(({ weightDecay }) => [0, 0.05].includes(weightDecay))).toBe(true);
    expect(decaying).toEqual(shapes.map(([name]) => name).filter((name) => !/gamma|bias|norm|\.2\.0\.bias/.test(name)));
  });

  it("counts the layers of a Tiny as ConvNeXt's detectors do: 0 to 6, and 7 for what follows", () => {
    const found = [...options({ layerDecay: 0.5 }).values()].map(({ learningRateFactor }) => learningRateFactor);
    const layers = [0, 2, 3, 6, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 7, 7, 7];
    expect(found).toEqual(layers.map((layer) => 0.5 ** (7 - layer)));
  });

  it('gives the backbone its share, on top of the layers', () => {
    const found = options({ backboneLearningRateFactor: 0.1, layerDecay: 0.5 });
    expect(found.get('backbone.norm.weight')!.learningRateFactor).toBe(0.1);
    expect(found.get('backbone.stages.3.2.norm.weight')!.learningRateFactor).toBe(0.05);
    expect(found.get('head.classification_head.module_list.0.bias')!.learningRateFactor).toBe(1);
  });
});
