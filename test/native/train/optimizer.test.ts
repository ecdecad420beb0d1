import { describe, expect, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, type NamedTensor, pattern, tensor } from '../support.ts';

const addon = await loadTestAddon();
const reference = await golden('native/optimizer.json');
const shapes = Object.entries<number[]>(reference.shapes);

function expectTensors(actual: NamedTensor[], expected: Record<string, number[] | number>) {
  expect(actual.map(({ name }) => name).sort()).toEqual(Object.keys(expected).sort());
  for (const { name, tensor } of actual) expectClose(tensor.data, [expected[name]!].flat(), 1e-6);
}

describe.each(['adamw', 'sgd'])('%s', (kind) => {
  it('equals five steps of torch.optim, with a parameter that has no gradient in two of them', () => {
    const parameters = shapes.map(([name, shape]) => ({ name, tensor: pattern(name, shape, 2) }));
    const gradients = [0, 1, 2, 3, 4].map((step) =>
      shapes.map(([name, shape]) =>
        name === 'rare' && (step === 0 || step === 3) ? null : pattern(`${kind}.${name}.${step}`, shape, 10 ** -step),
      ),
    );
    const result = addon.optimizerSteps(kind, parameters, gradients, reference.learningRates);
    expectTensors(result.parameters, reference[kind].parameters);
    expectTensors(result.state, reference[kind].state);
  });

  it('leaves a parameter without a gradient alone', () => {
    const parameters = [{ name: 'w', tensor: tensor([1, -2], [2]) }];
    const result = addon.optimizerSteps(kind, parameters, [[null], [null]], [0.1, 0.1]);
    expect([...result.parameters[0]!.tensor.data]).toEqual([1, -2]);
    expect(result.state.flatMap(({ tensor }) => [...tensor.data]).every((value) => value === 0)).toBe(true);
  });
});

describe('parameter groups', () => {
  it('equal five steps of torch.optim.AdamW with two groups', () => {
    const { factors, decays, adamw } = reference.groups;
    const parameters = shapes.map(([name, shape]) => ({ name, tensor: pattern(name, shape, 2) }));
    const gradients = [0, 1, 2, 3, 4].map((step) =>
      shapes.map(([name, shape]) => pattern(`groups.${name}.${step}`, shape, 10 ** -step)),
    );
    const options = shapes.map(([name]) => ({ learningRateFactor: factors[name], weightDecay: decays[name] }));
    const result = addon.optimizerSteps('adamw', parameters, gradients, reference.learningRates, options);
    expectTensors(result.parameters, adamw.parameters);
    expectTensors(result.state, adamw.state);
  });

  it('are the same as one when they have the same options', () => {
    const steps = (options?: { learningRateFactor: number; weightDecay: number }[]) => {
      const parameters = shapes.map(([name, shape]) => ({ name, tensor: pattern(name, shape, 2) }));
      const gradients = [shapes.map(([name, shape]) => pattern(`groups.${name}.0`, shape, 1))];
      return addon.optimizerSteps('adamw', parameters, gradients, [0.1], options);
    };
    expect(steps(shapes.map(() => ({ learningRateFactor: 1, weightDecay: 0.01 })))).toEqual(steps());
  });

  it('by hand: SGD adds the decay to the gradient of its parameter, at its own rate', () => {
    const parameters = ['a', 'b', 'c'].map((name) => ({ name, tensor: tensor([2], [1]) }));
    const options = [
      { learningRateFactor: 0.5, weightDecay: 0 },
      { learningRateFactor: 1, weightDecay: 0.25 },
      { learningRateFactor: 0, weightDecay: 0.25 },
    ];
    const gradients = [[tensor([1], [1]), tensor([1], [1]), tensor([1], [1])]];
    const result = addon.optimizerSteps('sgd', parameters, gradients, [0.1], options);
    const moved = result.parameters.map(({ tensor }) => tensor.data[0]!);
    expectClose(moved, [2 - 0.05 * 1.9, 2 - 0.1 * 1.9 * (1 + 0.25 * 2), 2], 1e-6);
  });
});

describe('one step by hand', () => {
  const parameters = () => [{ name: 'w', tensor: tensor([2], [1]) }];

  it('AdamW: decay by lr * .01, then lr in the direction of the gradient', () => {
    const result = addon.optimizerSteps('adamw', parameters(), [[tensor([-5], [1])]], [0.1]);
    expectClose(result.parameters[0]!.tensor.data, [2 * (1 - 0.1 * 0.01) + 0.1], 1e-6);
  });

  it('SGD: Nesterov momentum adds nine tenths of the gradient, nothing decays', () => {
    const result = addon.optimizerSteps('sgd', parameters(), [[tensor([-5], [1])]], [0.1]);
    expectClose(result.parameters[0]!.tensor.data, [2 + 0.1 * 5 * 1.9], 1e-6);
  });
});

describe('momentum', () => {
  const steps = (kind: string, gradients: number[], momentum: number) =>
    addon.optimizerSteps(
      kind,
      [{ name: 'w', tensor: tensor([0], [1]) }],
      gradients.map((gradient) => [tensor([gradient], [1])]),
      gradients.map(() => 0.1),
      [{ learningRateFactor: 1, weightDecay: 0 }],
      momentum,
    ).parameters[0]!.tensor.data;

  it('of SGD is the share of the last step that the next one keeps, twice with Nesterov', () => {
    expectClose(steps('sgd', [1], 0.5), [-0.1 * 1.5], 1e-6);
    expectClose(steps('sgd', [1, 0], 0.5), [-0.1 * (1.5 + 0.25)], 1e-6);
    expectClose(steps('sgd', [1, 0], 0), [-0.1], 1e-6);
  });

  it('of AdamW is its first beta', () => {
    // Means after the second step, corrected: 0.25 / 0.75 of the gradient, and 0.000999 / 0.001999 of its square.
    const second = 0.25 / 0.75 / Math.sqrt(0.000999 / 0.001999);
    expectClose(steps('adamw', [1, 0], 0.5), [-0.1 * (1 + second)], 1e-5);
  });
});

it('refuses another kind', () => {
  expect(() => addon.optimizerSteps('lion', [], [], [])).toThrow('unknown optimizer "lion"');
});
