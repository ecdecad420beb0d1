import { describe, expect, it } from 'vitest';
import { checkLoss } from '../../../lib/model/loss-options.ts';

describe('checkLoss', () => {
  it("fills in torchvision's SSD", () => {
    expect(checkLoss('loss', {})).toEqual({
      classification: 'hard-negative',
      box: 'smooth-l1',
      backgroundNegatives: false,
    });
    expect(checkLoss('loss', { box: 'ciou' })).toMatchObject({ classification: 'hard-negative', box: 'ciou' });
  });

  it('takes what it gave', () => {
    const loss = checkLoss('loss', { classification: 'focal', box: 'giou' });
    expect(checkLoss('loss', loss)).toEqual(loss);
  });

  it.each([
    [{ classification: 'vocal' }, 'loss.classification', 'did you mean "focal"?'],
    [{ box: 'iou' }, 'one of smooth-l1, l1, giou, diou, ciou for loss.box'],
    [{ backgroundNegatives: 1 }, 'boolean for loss.backgroundNegatives'],
    [{ classes: 'focal' }, 'Unknown key "classes"'],
    ['focal', 'object for loss'],
    [null, 'object for loss'],
    [{ classification: 'focal', backgroundNegatives: true }, 'false with the classification loss focal', 'every image'],
  ])('refuses %o', (value, ...words) => {
    for (const word of words) expect(() => checkLoss('loss', value)).toThrow(word);
  });
});
