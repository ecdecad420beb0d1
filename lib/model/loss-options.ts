import { checkBoolean, checkKeys, checkOneOf, wrongArgument } from '../base/check.ts';

/**
 * `hard-negative`: softmax cross entropy of the positives and, image by image, three times as many hardest negatives (SSD);
 * `focal`: sigmoid focal loss of every default box, alpha 0.25, gamma 2 (RetinaNet).
 */
export const classLossNames = ['hard-negative', 'focal'] as const;
export type ClassLossName = (typeof classLossNames)[number];

/** Smooth L1 or L1 of the box codes, or generalized, distance or complete IoU of the boxes. */
export const boxLossNames = ['smooth-l1', 'l1', 'giou', 'diou', 'ciou'] as const;
export type BoxLossName = (typeof boxLossNames)[number];

/**
 * What finds the default boxes of an object: SSD's matcher, RetinaNet's, which leaves out those between IoU 0.4 and 0.5, or adaptive
 * training sample selection (Zhang et al. 2020).
 */
export const assignerNames = ['ssd', 'retinanet', 'atss'] as const;
export type AssignerName = (typeof assignerNames)[number];

/** What a detector is trained on. */
export interface LossOptions {
  /** Default `hard-negative`; of the head `retinanet`, and there without a choice, `focal`. */
  classification: ClassLossName;
  /** Default `smooth-l1`; of the head `retinanet`, `l1`. */
  box: BoxLossName;
  /**
   * Whether an image without objects teaches, as much as the average image of its batch; default false, as
   * torchvision; the preset `best`: true. For
   * `hard-negative`: under `focal` it always does.
   */
  backgroundNegatives: boolean;
}

/** torchvision's. */
export const ssdLoss: LossOptions = { classification: 'hard-negative', box: 'smooth-l1', backgroundNegatives: false };

/** Fills what is left out; throws `TypeError` or `RangeError` naming the key. */
export function checkLoss(name: string, value: unknown, defaults = ssdLoss): LossOptions {
  const given = checkKeys(name, value, ['classification', 'box', 'backgroundNegatives']);
  const classification = checkOneOf(
    `${name}.classification`,
    given.classification ?? defaults.classification,
    classLossNames,
  );
  const loss = {
    classification,
    box: checkOneOf(`${name}.box`, given.box ?? defaults.box, boxLossNames),
    backgroundNegatives: checkBoolean(
      `${name}.backgroundNegatives`,
      given.backgroundNegatives ?? (classification === 'hard-negative' && defaults.backgroundNegatives),
    ),
  };
  if (loss.classification === 'focal' && loss.backgroundNegatives) {
    const expected = `false with the classification loss focal, which takes every default box of every image,`;
    throw new RangeError(wrongArgument(`${name}.backgroundNegatives`, expected, true));
  }
  return loss;
}
