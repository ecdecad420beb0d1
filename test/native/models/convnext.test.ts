import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { loadTestAddon, maxDifference, type NamedTensor, pattern, unpack, weight } from '../support.ts';

const addon = await loadTestAddon();
const reference = await golden('native/convnext.json');

interface Features {
  /** Batch, 3, height, width. */
  input: number[];
  shape: number[];
  /** Packed float32. */
  output: string;
}

const total = (parameters: NamedTensor[]) => parameters.reduce((sum, { tensor }) => sum + tensor.data.length, 0);

function weighted(parameters: NamedTensor[]): NamedTensor[] {
  return parameters.map(({ name, tensor }) => ({ name, tensor: weight(name, tensor.shape) }));
}

describe('ConvNeXt', () => {
  it.each(Object.entries<Features>(reference.features))(
    'computes what the official model computes: %s',
    (name, features) => {
      const weights = weighted(addon.convnextParameters(name, 1));
      const maps = addon.convnextForward(name, weights, pattern('images', features.input, 4));
      expect(maps).toHaveLength(1);
      expect(maps[0]!.shape).toEqual(features.shape);
      expect(maxDifference(maps[0]!.data, unpack(features.output))).toBeLessThanOrEqual(1e-4);
    },
  );

  it('uses every one of its parameters', () => {
    const weights = weighted(addon.convnextParameters('convnext_test', 1));
    const images = pattern('images', [1, 3, 32, 32], 4);
    const before = addon.convnextForward('convnext_test', weights, images)[0]!.data;
    for (const { name, tensor } of weights) {
      const kept = tensor.data.slice();
      for (let i = 0; i < tensor.data.length; i++) tensor.data[i]! += i % 2 === 0 ? 0.5 : -0.25;
      expect(addon.convnextForward('convnext_test', weights, images)[0]!.data, name).not.toEqual(before);
      tensor.data.set(kept);
    }
  });

  it("has the released tiny model's state_dict keys and shapes: 27,820,128 parameters", () => {
    const parameters = addon.convnextParameters('convnext_tiny', 1);
    const shapes = Object.fromEntries(parameters.map(({ name, tensor }) => [name, tensor.shape]));
    expect(shapes).toEqual(reference.tiny);
    expect(parameters).toHaveLength(Object.keys(reference.tiny).length);
    expect(total(parameters)).toBe(27_820_128);
  });

  it.each(['convnext_test', 'convnext_small'])('has as many parameters as the official model: %s', (name) => {
    expect(total(addon.convnextParameters(name, 1))).toBe(reference.counts[name]);
  });

  it('starts from weights of deviation .02, zero biases, plain norms and a layer scale of 1e-6', () => {
    for (const { name, tensor } of addon.convnextParameters('convnext_test', 7)) {
      const values = [...tensor.data];
      if (name.endsWith('.gamma')) expect(new Set(values)).toEqual(new Set([Math.fround(1e-6)]));
      else if (name.endsWith('.bias')) expect(new Set(values)).toEqual(new Set([0]));
      else if (tensor.shape.length === 1) expect(new Set(values)).toEqual(new Set([1]));
      else {
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
        expect(Math.abs(mean), name).toBeLessThan(0.003);
        expect(Math.abs(deviation - 0.02), name).toBeLessThan(0.002);
      }
    }
  });

  it('starts from its seed: the same again, another for another seed', () => {
    const bytes = (seed: number) =>
      Buffer.concat(
        addon.convnextParameters('convnext_test', seed).map(({ tensor }) => Buffer.from(tensor.data.buffer)),
      );
    expect(bytes(3).equals(bytes(3))).toBe(true);
    expect(bytes(3).equals(bytes(4))).toBe(false);
  });

  it('refuses a name that it does not know', () => {
    expect(() => addon.convnextParameters('convnext_huge', 1)).toThrow('unknown ConvNeXt "convnext_huge"');
  });
});
