import { wrongArgument } from '../base/check.ts';
import { boolean, choice, number, object } from '../base/kinds.ts';
import { type Given, option, type Resolved, resolve } from '../base/option.ts';

/**
 * `hard-negative`: softmax cross entropy of the positives and, image by image, three times as many hardest negatives (SSD);
 * `focal`: sigmoid focal loss of every default box, alpha 0.25, gamma 2 (RetinaNet);
 * `quality`: quality focal loss (Li et al. 2020) of every point of the head `dense`.
 */
export const classLossNames = ['hard-negative', 'focal', 'quality'] as const;
export type ClassLossName = (typeof classLossNames)[number];

/** Smooth L1 or L1 of the box codes, or generalized, distance or complete IoU of the boxes. */
export const boxLossNames = ['smooth-l1', 'l1', 'giou', 'diou', 'ciou'] as const;
export type BoxLossName = (typeof boxLossNames)[number];

/**
 * The assigners, which find the default boxes of an object. `ssd` is SSD's matcher. `retinanet` leaves out boxes between IoU 0.4 and 0.5.
 * `atss` is adaptive training sample selection (Zhang et al. 2020). `soft` has dynamic soft labels for the head `dense` (Lyu et al. 2022).
 */
export const assignerNames = ['ssd', 'retinanet', 'atss', 'soft'] as const;
export type AssignerName = (typeof assignerNames)[number];

/** The meanings of scores: one class or the background (`softmax`), or each class by itself (`sigmoid`). */
export const scoresNames = ['softmax', 'sigmoid'] as const;
export type Scores = (typeof scoresNames)[number];

/** What the scores of a detector mean that was trained on a class loss. */
export function scoresOfLoss(loss: ClassLossName): Scores {
  return loss === 'hard-negative' ? 'softmax' : 'sigmoid';
}

/** The complete losses and choices of a training. */
export interface LossOptions {
  classification: ClassLossName;
  box: BoxLossName;
  /** Whether an image without objects teaches, as much as the average image of its batch. With `focal` and `quality` it always does. */
  backgroundNegatives: boolean;
}

const group = 'Loss';

export const lossTable = {
  /**
   * The loss of the classes, which has to fit the detector's `scores`: `hard-negative` for `softmax`, `focal` for `sigmoid`; `quality` is
   * that of the head `dense`, and of no other.
   * @default that of the scores, with the head `dense` 'quality'
   */
  classification: option(choice(classLossNames), {
    unset: 'that of the scores: hard-negative, or focal for sigmoids; head dense: quality',
    group,
    flags: ['classification-loss'],
    help: 'hard-negative: softmax; focal: a sigmoid for each class; quality: head dense',
  }),
  /**
   * The loss of the boxes, by their codes (`smooth-l1`, `l1`) or by their overlap.
   * @default 'smooth-l1', with the head `retinanet` 'l1', with the head `dense` 'giou', its only one
   */
  box: option(choice(boxLossNames), {
    unset: 'smooth-l1; head retinanet: l1; head dense: giou',
    group,
    flags: ['box-loss'],
    help: 'loss of the boxes',
  }),
};

/** The choice of losses for a run. */
export interface LossChoice extends Given<typeof lossTable> {}
/** The chosen losses of a run, after the check. */
export interface ChosenLoss extends Resolved<typeof lossTable> {}

/** The options of a run that say what it learns from. */
export const learningTable = {
  /**
   * The losses of classes and boxes.
   * @default fitting the scores and the head
   */
  loss: option(object<LossChoice, ChosenLoss>(lossTable), { kept: true, group, help: 'losses of classes and boxes' }),
  /**
   * The assigner, which finds the default boxes of an object. `ssd` is SSD's matcher. `retinanet` leaves out boxes between IoU 0.4 and 0.5.
   * `atss` is adaptive training sample selection (Zhang et al. 2020). The head `dense` has only `soft`, dynamic soft labels (Lyu et al.
   * 2022).
   * @default that of the head
   */
  assigner: option(choice(assignerNames), {
    unset: 'that of the head',
    kept: true,
    group,
    help: 'what finds the default boxes of an object',
  }),
  /**
   * Whether an image without objects teaches, as much as the average image of its batch. With the losses `focal` and `quality` every image
   * teaches, so they reject this option.
   * @default true with the loss `hard-negative`, with the preset `article` false, as torchvision
   */
  backgroundNegatives: option(boolean(), {
    presets: {
      ssd: {
        words: 'true, but for the losses focal and quality',
        of: ({ scores }: { scores: Scores }) => (scores === 'softmax' ? true : undefined),
      },
    },
    unset: 'false',
    kept: true,
    group,
    help: 'learn from images without objects',
  }),
  /**
   * How far each object counts the same with the head `dense`, however many points it has: wholly (1), or not at all (0), as in mmdet. It
   * is an exponent. Without it a rare class of small objects hardly begins to be learned in a short training.
   * @default 1
   */
  objectBalance: option(number({ max: 1 }), {
    unset: '1',
    kept: true,
    group,
    native: 'objectBalance',
    help: 'head dense: 1 has every object count the same, 0 every point',
  }),
};

/** The options of a run about losses and assigner. */
export interface LearningChoice extends Given<typeof learningTable> {}

/** The chosen losses and assigner of a run, after the check. */
export interface LearningOptions extends Resolved<typeof learningTable> {}

/** What the options of a run say of what it learned from. @throws {TypeError|RangeError} naming the key */
export function readRunLearning(options: object = {}): LearningOptions {
  const { loss, assigner, backgroundNegatives, objectBalance } = options as LearningOptions;
  const given = { loss, assigner, backgroundNegatives, objectBalance };
  return resolve(learningTable, given, { name: 'training.options' });
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

const whatLossesTake = { focal: 'every default box of every image', quality: 'every point of every image' };

/** @throws {RangeError} for a loss that takes every image anyway */
export function refuseBackgroundNegatives(
  name: string,
  loss: ClassLossName | undefined,
  value: boolean | undefined,
): void {
  if (loss === undefined || loss === 'hard-negative' || value !== true) return;
  const expected = `false with the classification loss ${loss}, which takes ${whatLossesTake[loss]},`;
  throw new RangeError(wrongArgument(name, expected, true));
}
