import { checkOneOf, wrongArgument } from '../base/check.ts';
import { type HeadName, headOf, heads } from './detection-head.ts';
import {
  type AssignerName,
  type BoxLossName,
  type ClassLossName,
  type LearningOptions,
  type LossOptions,
  refuseBackgroundNegatives,
  type Scores,
  scoresNames,
  scoresOfLoss,
} from './loss-options.ts';

/** What scores mean, and what teaches them that. */

interface Scored {
  head?: HeadName;
  scores?: Scores;
}

interface Chosen {
  scores?: Scores;
  loss?: LearningOptions['loss'];
}

/** What scores mean: as it is chosen, by itself or with a class loss; undefined where that is what the head has anyway. */
export function chosenScores(head: HeadName, { scores, loss }: Chosen): Scores | undefined {
  const own = headOf(head).scores?.meaning ?? 'softmax';
  const chosen = scores ?? (loss?.classification && scoresOfLoss(loss.classification)) ?? own;
  checkClassLoss('loss.classification', loss?.classification, head, checkScores('scores', chosen, head));
  return chosen === own ? undefined : chosen;
}

/** @throws {TypeError|RangeError} for what the head's scores cannot mean */
export function checkScores(name: string, value: unknown, head: HeadName): Scores {
  const { scores } = headOf(head);
  const given = checkOneOf(name, value, scoresNames);
  if (scores === undefined || scores.meaning === given) return given;
  const expected = `${scores.meaning} with the head ${head}, ${scores.why},`;
  throw new RangeError(`${wrongArgument(name, expected, given)}. Leave it out, or set head to ssd`);
}

/** The class loss that teaches scores what they mean. */
export function classLossOf(scores: Scores, head: HeadName | undefined): ClassLossName {
  return headOf(head).classLoss ?? (scores === 'softmax' ? 'hard-negative' : 'focal');
}

/** @throws {RangeError} for a class loss that teaches another kind of scores, or is another head's */
export function checkClassLoss(name: string, loss: ClassLossName | undefined, head: HeadName, scores: Scores): void {
  const own = classLossOf(scores, head);
  if (loss === undefined || loss === own) return;
  const only = headOf(head).scores;
  const [why, remedy] = only
    ? [`the head ${head}, ${only.why},`, 'set head to ssd']
    : loss === heads.dense.classLoss
      ? [`the head ${head}`, `set head to dense (--head dense), whose loss ${loss} is`]
      : [`a detector whose scores are a ${scores}`, `create the detector with scores: '${scoresOfLoss(loss)}'`];
  const expected = `${own} with ${why}`;
  throw new RangeError(`${wrongArgument(name, expected, loss)}. Leave it out, or ${remedy}`);
}

/** What scores mean with a configuration. */
export function scoresOf({ head, scores }: Scored): Scores {
  return scores ?? headOf(head).scores?.meaning ?? 'softmax';
}

/** What a run learns from, complete, where `chosen` leaves it to the model. */
export interface Learning {
  loss: LossOptions;
  assigner: AssignerName;
}

/** @throws {RangeError} for a loss that does not fit the model's scores or its head, naming the option */
export function resolveLearning(chosen: LearningOptions, model: Scored): Learning {
  const { loss = {}, backgroundNegatives = false } = chosen;
  const [scores, head] = [scoresOf(model), headOf(model.head)];
  const classification = classLossOf(scores, model.head);
  checkClassLoss('loss.classification', loss.classification, model.head ?? 'ssd', scores);
  refuseBackgroundNegatives('backgroundNegatives', classification, backgroundNegatives);
  const { box = head.boxLoss } = loss;
  const { assigner = head.assigner } = chosen;
  checkOwn('loss.box', box, model.head, 'boxLoss');
  checkOwn('assigner', assigner, model.head, 'assigner');
  checkObjectBalance(chosen.objectBalance, model.head);
  return { loss: { classification, box, backgroundNegatives }, assigner };
}

/** @throws {RangeError} for another loss than the only one of a head, or an assigner that is another head's */
function checkOwn(
  name: string,
  value: BoxLossName | AssignerName,
  head: HeadName = 'ssd',
  key: 'boxLoss' | 'assigner',
): void {
  const { [key]: own, fixedLoss } = headOf(head);
  if (fixedLoss && value !== own) {
    const expected = `${own} with the head ${head}, ${fixedLoss.why},`;
    throw new RangeError(`${wrongArgument(name, expected, value)}. Leave it out, or set head to ssd`);
  }
  if (fixedLoss || value !== heads.dense.assigner) return;
  const expected = `an assigner of default boxes with the head ${head}`;
  throw new RangeError(
    `${wrongArgument(name, expected, value)}. Leave it out, or set head to dense, whose assigner it is`,
  );
}

/** @throws {RangeError} where no loss has a use for it */
function checkObjectBalance(value: number | undefined, head: HeadName = 'ssd'): void {
  if (value === undefined || headOf(head).classLoss === 'quality') return;
  const expected = `no objectBalance with the head ${head}, whose loss has no weights of objects,`;
  throw new RangeError(`${wrongArgument('objectBalance', expected, value)}. Leave it out, or set head to dense`);
}
