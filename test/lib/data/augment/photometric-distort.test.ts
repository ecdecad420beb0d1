import { expect, it } from 'vitest';
import { PURPOSE, stream } from '../../../../lib/base/random.ts';
import { photometricDistort } from '../../../../lib/data/augment/photometric-distort.ts';
import { draws, expectMoments } from '../../../support/augmentation.ts';
import { golden } from '../../../support/shared.ts';

const options = {
  p: 0.5,
  brightness: [0.875, 1.125],
  contrast: [0.5, 1.5],
  saturation: [0.5, 1.5],
  hue: [-0.05, 0.05],
} as const;
const choose = (sample: number, p = 0.5) =>
  photometricDistort({ ...options, p }, stream({ seed: 1, epoch: 0, sample, part: 0 }, PURPOSE.photometricDistort));

it('by hand: each operation with a draw for whether, and one for how much', () => {
  expect(photometricDistort(options, draws(0, 1, 0.5, 1, 0.49, 0.25, 0.49, 0.75, 0.5, 0.4, 0.99))).toEqual({
    brightness: 1.125,
    contrast: 1,
    saturation: 0.75,
    hue: expect.closeTo(0.025, 9),
    contrastFirst: false,
    channels: [2, 1, 0],
  });
});

it('changes nothing with probability 0, everything with 1', () => {
  const all = Array.from({ length: 200 }, (_, sample) => [choose(sample, 0), choose(sample, 1)] as const);
  for (const [none, every] of all) {
    expect(none).toMatchObject({ brightness: 1, contrast: 1, saturation: 1, hue: 0, channels: [0, 1, 2] });
    expect([every.brightness, every.contrast, every.saturation]).not.toContain(1);
  }
});

it('draws all orders of the channels equally often', () => {
  const orders = Array.from({ length: 12_000 }, (_, sample) => choose(sample, 1).channels.join(''));
  const counts = ['012', '021', '102', '120', '201', '210'].map((order) => orders.filter((o) => o === order).length);
  expect(Math.min(...counts)).toBeGreaterThan(1850);
  expect(counts.reduce((a, b) => a + b)).toBe(12_000);
});

it("is distributed as torchvision's", async () => {
  const { photometricDistort: expected } = await golden('augmentation.json');
  const rows = Array.from({ length: 20_000 }, (_, sample) => {
    const { brightness, contrast, saturation, hue, contrastFirst, channels } = choose(sample);
    return [brightness, contrast, saturation, hue, Number(contrastFirst), channels[0]!];
  });
  expectMoments(rows, expected);
});
