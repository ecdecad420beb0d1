import { integer } from '../base/kinds.ts';
import { type Given, option } from '../base/option.ts';

/** The table that declares every option of an `Evaluator`. */
export const evaluatorTable = {
  /**
   * The number of images that go through the model together.
   * @default 8
   */
  batchSize: option(integer({ min: 1, max: 1024 }), {
    default: 8,
    group: 'Evaluation',
    flags: ['batch'],
    help: 'images that go through the model together',
  }),
  /**
   * The number of images that are decoded at the same time.
   * @default 2
   */
  decodeConcurrency: option(integer({ min: 1, max: 256 }), {
    default: 2,
    aliases: ['workers'],
    flags: ['workers'],
    group: 'Evaluation',
    help: 'images decoded at the same time',
  }),
};

/** The options of an `Evaluator`. */
export interface EvaluatorOptions extends Given<typeof evaluatorTable> {
  /** @deprecated The earlier name of `decodeConcurrency`. */
  workers?: number | null | undefined;
}
