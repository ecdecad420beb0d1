import { describe, expect, it } from 'vitest';

import { options } from '../detectors.ts';
import { loadTestAddon } from '../support.ts';

const core = await loadTestAddon();
const objects = {
  counts: Int32Array.of(1),
  boxes: Float32Array.of(9, 10, 23, 22),
  labels: Int32Array.of(1),
};

describe('the weights of a model', () => {
  it.each([
    ['without an average', {}],
    ['with an average', { emaDecay: 0.5 }],
  ])('are exchanged once, and not trained meanwhile: %s', (_, more) => {
    const training = { optimizer: 'adamw', fineTune: true, ...more };
    const { before, after, ...said } = core.weightConflicts(options, training, objects);
    const guest = 'but it holds the weights of a snapshot';
    expect(said.exchange).toBe(`expected a model that holds its own weights for an exchange ${guest}`);
    expect(said.step).toBe(`expected a model that holds its own weights for a training step ${guest}`);
    expect(said.snapshot).toBe(`expected a model that holds its own weights for a copy of them ${guest}`);
    expect(said.average).toContain('only while the model holds these');
    expect(said.nextStep).toBe('');
    expect(after).toEqual(before);
  });
});
