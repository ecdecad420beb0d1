import { wrongArgument } from '../base/check.ts';
import { boolean, choice, object } from '../base/kinds.ts';
import { type Given, option, type Resolved, resolve } from '../base/option.ts';

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

/** What scores mean: one class out of all and the background (`softmax`), or each class by itself (`sigmoid`). */
export const scoresNames = ['softmax', 'sigmoid'] as const;
export type Scores = (typeof scoresNames)[number];

/** The class loss that teaches scores what they mean. */
export const classLossOf = { softmax: 'hard-negative', sigmoid: 'focal' } as const satisfies Record<
  Scores,
  ClassLossName
>;

/** What the scores of a detector mean that was trained on a class loss. */
export function scoresOfLoss(loss: ClassLossName): Scores {
  return loss === 'focal' ? 'sigmoid' : 'softmax';
}

/** What a training learns from, complete. */
export interface LossOptions {
  classification: ClassLossName;
  box: BoxLossName;
  /** Whether an image without objects teaches, as much as the average image of its batch. Under `focal` it always does. */
  backgroundNegatives: boolean;
}

const group = 'Loss';

export const lossTable = {
  /**
   * The loss of the classes, which has to fit the detector's `scores`: `hard-negative` for `softmax`, `focal` for `sigmoid`.
   * @default that of the scores
   */
  classification: option(choice(classLossNames), {
    unset: 'that of the scores: hard-negative, or focal for sigmoids',
    group,
    flags: ['classification-loss'],
    help: 'hard-negative: softmax; focal: a sigmoid for each class',
  }),
  /**
   * The loss of the boxes: of their codes (`smooth-l1`, `l1`), or by their overlap.
   * @default 'smooth-l1', with the head `retinanet` 'l1'
   */
  box: option(choice(boxLossNames), {
    unset: 'smooth-l1; head retinanet: l1',
    group,
    flags: ['box-loss'],
    help: 'loss of the boxes',
  }),
};

/** The losses of a run, as far as they are chosen. */
export interface LossChoice extends Given<typeof lossTable> {}
/** The losses of a run, checked. */
export interface ChosenLoss extends Resolved<typeof lossTable> {}

/** The options of a run that say what it learns from. */
export const learningTable = {
  /**
   * The losses of classes and boxes.
   * @default those of scores and head
   */
  loss: option(object<LossChoice, ChosenLoss>(lossTable), { kept: true, group, help: 'losses of classes and boxes' }),
  /**
   * What finds the default boxes of an object: `ssd`, SSD's matcher; `retinanet`, which leaves out those between IoU 0.4 and 0.5; or `atss`,
   * adaptive training sample selection (Zhang et al. 2020).
   * @default that of the head
   */
  assigner: option(choice(assignerNames), {
    unset: 'that of the head',
    kept: true,
    group,
    help: 'what finds the default boxes of an object',
  }),
  /**
   * Whether an image without objects teaches, as much as the average image of its batch. The loss `focal` has no use for it: there each
   * image teaches.
   * @default true with the loss `hard-negative`, with the preset `article` false, as torchvision
   */
  backgroundNegatives: option(boolean(), {
    presets: {
      ssd: {
        words: 'true, but for the loss focal',
        of: ({ scores }: { scores: Scores }) => (scores === 'softmax' ? true : undefined),
      },
    },
    unset: 'false',
    kept: true,
    group,
    help: 'learn from images without objects',
  }),
};

/** What a run may be told of what it learns from. */
export interface LearningChoice extends Given<typeof learningTable> {}

/** What a run learns from, as far as it is chosen. */
export interface LearningOptions extends Resolved<typeof learningTable> {}

/** What the options of a run say of what it learned from. @throws {TypeError|RangeError} naming the key */
export function readRunLearning(options: object = {}): LearningOptions {
  const { loss, assigner, backgroundNegatives } = options as LearningOptions;
  return resolve(learningTable, { loss, assigner, backgroundNegatives }, { name: 'training.options' });
}

/** The loss of `Detector.create`, where it was an option once. */
const earlierLossTable = { ...lossTable, backgroundNegatives: learningTable.backgroundNegatives };

/**
 * The losses of a run, as `Detector.create` took them in an earlier version.
 * @deprecated Give them to the `Trainer`.
 */
export interface EarlierLoss extends LossChoice {
  backgroundNegatives?: boolean | null | undefined;
}

/** The same, checked. */
export interface CheckedEarlierLoss extends Resolved<typeof earlierLossTable> {}

export const lossKind = object<EarlierLoss, CheckedEarlierLoss>(earlierLossTable);

/** A loss as configurations had it once, as the options of a run. @throws {TypeError|RangeError} naming the key */
export function readEarlierLoss(name: string, value: unknown): LearningOptions {
  const { backgroundNegatives, ...loss } = lossKind.check(name, value);
  refuseBackgroundNegatives(`${name}.backgroundNegatives`, loss.classification, backgroundNegatives);
  return { loss, ...(backgroundNegatives !== undefined && { backgroundNegatives }) };
}

/** @throws {RangeError} for a loss that takes every image anyway */
export function refuseBackgroundNegatives(
  name: string,
  loss: ClassLossName | undefined,
  value: boolean | undefined,
): void {
  if (loss !== 'focal' || value !== true) return;
  const expected = `false with the classification loss focal, which takes every default box of every image,`;
  throw new RangeError(wrongArgument(name, expected, true));
}
