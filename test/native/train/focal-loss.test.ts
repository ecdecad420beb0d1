import { describe, it } from 'vitest';

import { golden } from '../../support/shared.ts';
import { expectClose, loadTestAddon, pattern, tensor } from '../support.ts';

const addon = await loadTestAddon();
const { focal } = await golden('native/losses.json');

describe('sigmoid_focal_loss', () => {
  it('equals torchvision, gradients too', () => {
    const targets = pattern('focal.targets', focal.shape);
    targets.data = targets.data.map((value) => Number(value > 0.2));
    const { values, gradient } = addon.sigmoidFocalLoss(pattern('focal.logits', focal.shape, 24), targets);
    expectClose(values.data, focal.values, 1e-6);
    expectClose(gradient.data, focal.gradient, 1e-6);
  });

  it('is what hand and paper say: (1 - p)^2 of the cross entropy, a quarter of it for an object', () => {
    const p = 0.8;
    const logit = Math.log(p / (1 - p));
    const { values } = addon.sigmoidFocalLoss(tensor([logit, logit], [2]), tensor([1, 0], [2]));
    expectClose(values.data, [-0.25 * 0.2 ** 2 * Math.log(0.8), -0.75 * 0.8 ** 2 * Math.log(0.2)], 1e-6);
  });

  it('stays finite where a sigmoid has no digits left', () => {
    const { values, gradient } = addon.sigmoidFocalLoss(tensor([-200, 200, -200, 200], [4]), tensor([1, 1, 0, 0], [4]));
    expectClose(values.data, [50, 0, 0, 150], 1e-6);
    expectClose(gradient.data, [-0.25, 0, 0, 0.75], 1e-6);
  });
});
