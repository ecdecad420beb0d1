import { checkOneOf, wrongArgument } from '../base/check.ts';
import { type HeadName, headOf } from './detection-head.ts';
import {
  type AssignerName,
  type ClassLossName,
  classLossOf,
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

/** @throws {RangeError} for a class loss that teaches another kind of scores */
export function checkClassLoss(name: string, loss: ClassLossName | undefined, head: HeadName, scores: Scores): void {
  if (loss === undefined || loss === classLossOf[scores]) return;
  const own = headOf(head).scores;
  const [why, remedy] = own
    ? [`the head ${head}, ${own.why},`, 'set head to ssd']
    : [`a detector whose scores are a ${scores}`, `create the detector with scores: '${scoresOfLoss(loss)}'`];
  const expected = `${classLossOf[scores]} with ${why}`;
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

/** @throws {RangeError} for a loss that does not fit the model's scores, naming the option */
export function resolveLearning(chosen: LearningOptions, model: Scored): Learning {
  const { loss = {}, assigner, backgroundNegatives = false } = chosen;
  const [scores, head] = [scoresOf(model), headOf(model.head)];
  checkClassLoss('loss.classification', loss.classification, model.head ?? 'ssd', scores);
  refuseBackgroundNegatives('backgroundNegatives', classLossOf[scores], backgroundNegatives);
  const { box = head.boxLoss } = loss;
  return {
    loss: { classification: classLossOf[scores], box, backgroundNegatives },
    assigner: assigner ?? head.assigner,
  };
}
