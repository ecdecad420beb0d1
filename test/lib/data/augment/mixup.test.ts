import { expect, it } from 'vitest';
import { mixup } from '../../../../lib/data/augment/mixup.ts';
import { draws } from '../../../support/augmentation.ts';

it('gives the second image a share from its range, by its probability', () => {
  const options = { p: 0.25, weightRange: [0.2, 0.6] } as const;
  expect(mixup(options, draws(0.24, 0.5))).toBeCloseTo(0.4, 9);
  expect(mixup(options, draws(0.25))).toBeUndefined();
});
