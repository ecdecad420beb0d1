import { expect } from 'vitest';

import { type Dtype, loadTestAddon, pattern, type Tensor } from '../support.ts';

/** The two kernels of a ConvNeXt block on inputs made from a name; `float64` always takes the plain path. */
const addon = await loadTestAddon();

export interface MapShape {
  images: number;
  channels: number;
  height: number;
  width: number;
}

const depthwiseInputs = (channels: number): [string, number[]][] => [
  ['weight', [channels, 1, 7, 7]],
  ['bias', [channels]],
];

const mlpInputs = (channels: number): [string, number[]][] => [
  ['norm weight', [channels]],
  ['norm bias', [channels]],
  ['expand weight', [4 * channels, channels]],
  ['expand bias', [4 * channels]],
  ['reduce weight', [channels, 4 * channels]],
  ['reduce bias', [channels]],
  ['gamma', [channels]],
];

/** Names and values of output and gradients. */
export function depthwiseConv(dtype: Dtype, shape: MapShape): Map<string, Tensor> {
  return run((inputs, gradient) => addon.depthwiseConv(dtype, inputs, gradient), ['x'], depthwiseInputs, shape);
}

export function residualMlp(dtype: Dtype, shape: MapShape): Map<string, Tensor> {
  return run((inputs, gradient) => addon.residualMlp(dtype, inputs, gradient), ['x', 'y'], mlpInputs, shape);
}

/** Without gradients; one value of an input may be another. */
export function residualMlpForward(
  dtype: Dtype,
  { images, channels, height, width }: MapShape,
  changes: Record<string, { at: number; value: number }> = {},
): Tensor {
  const maps: [string, number[]][] = ['x', 'y'].map((name) => [name, [images, channels, height, width]]);
  const inputs = [...maps, ...mlpInputs(channels)].map((named) => {
    const tensor = make(named);
    const change = changes[named[0]];
    if (change) tensor.data[change.at] = change.value;
    return tensor;
  });
  return addon.residualMlpForward(dtype, inputs);
}

/** Convolutions without gradients of maps of two sizes, each with two weights in turn. */
export function convForwards(
  dtype: Dtype,
  { kernel, stride, padding }: { kernel: number; stride: number; padding: number },
): Tensor[] {
  const [weight, bias] = [make(['weight', [24, 20, kernel, kernel]]), make(['bias', [24]])];
  const xs = [make(['x', [2, 20, 16, 12]]), make(['x', [1, 20, 8, 20]])];
  return addon.convForwards(dtype, weight, bias, xs, stride, padding);
}

/** The residual MLP of x alone, dropped for the samples that a seed chooses, or left for those of a mask. */
export function dropPath(dtype: Dtype, shape: MapShape, rate: number, which: number | Tensor): Map<string, Tensor> {
  const compute = (inputs: Tensor[], gradient: Tensor) =>
    typeof which === 'number'
      ? addon.dropPath(dtype, inputs, gradient, rate, which)
      : addon.maskedBlock(dtype, inputs, gradient, rate, which);
  return run(compute, ['x'], mlpInputs, shape);
}

function run(
  compute: (inputs: Tensor[], gradient: Tensor) => Tensor[],
  mapNames: string[],
  weights: (channels: number) => [string, number[]][],
  { images, channels, height, width }: MapShape,
): Map<string, Tensor> {
  const mapShape = [images, channels, height, width];
  const inputs = [...mapNames.map((name): [string, number[]] => [name, mapShape]), ...weights(channels)];
  const found = compute(inputs.map(make), make(['gradient', mapShape]));
  return new Map(found.map((tensor, i) => [i === 0 ? 'output' : `gradient of ${inputs[i - 1]![0]}`, tensor]));
}

function make([name, shape]: [string, number[]]): Tensor {
  return pattern(name, shape, 2);
}

/** Every value within `tolerance` of the largest of its tensor. */
export function expectClose(found: Map<string, Tensor>, expected: Map<string, Tensor>, tolerance: number): void {
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, tensor] of found) expectCloseTensor(tensor, expected.get(name)!, tolerance, name);
}

export function expectCloseTensor(found: Tensor, expected: Tensor, tolerance: number, name?: string): void {
  expect(found.shape, name).toEqual(expected.shape);
  expect(Math.max(...expected.data.map(Math.abs)), name).toBeGreaterThan(0);
  expect(distance(found, expected), name).toBeLessThan(tolerance);
}

/** The largest difference, in parts of the largest value. */
export function distance(found: Tensor, expected: Tensor): number {
  let [difference, largest] = [0, 0];
  found.data.forEach((value, i) => {
    difference = Math.max(difference, Math.abs(value - expected.data[i]!));
    largest = Math.max(largest, Math.abs(expected.data[i]!));
  });
  return difference / largest;
}
