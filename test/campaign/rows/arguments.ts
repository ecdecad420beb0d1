import { Dataset } from '../../../lib/data/dataset.ts';
import { Detector } from '../../../lib/detector/detector.ts';
import { cocoAveragePrecision } from '../../../lib/evaluation/average-precision.ts';
import { Evaluator } from '../../../lib/evaluation/evaluator.ts';
import { checkClasses } from '../../../lib/model/class-list.ts';
import { multiStepLearningRate } from '../../../lib/training/learning-rate.ts';
import { Trainer } from '../../../lib/training/trainer.ts';
import { type Row, repeat, type Trial } from '../row.ts';

/** Values that no function expects. */
const ODD: unknown[] = [
  ...[undefined, null, true, 0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 10n, '', 'text', 'a\0b'],
  ...[
    [],
    {},
    [null],
    new Array(2 ** 32 - 1),
    new Uint8Array(3),
    new Map(),
    () => {},
    Symbol('s'),
    new Date(Number.NaN),
  ],
  ...[Object.create(null), { length: -1 }, { data: 'x', width: 1, height: 1 }, Promise.resolve()],
];

type Act = (...args: never[]) => unknown;

const acts: Record<string, Act> = {
  'Detector.create': (a: never) => Detector.create(a),
  'Detector.load': (a: never, b: never) => Detector.load(a, b),
  'Dataset.from': (a: never, b: never) => Dataset.from(a, b),
  Evaluator: (a: never, b: never) => new Evaluator(a, b),
  Trainer: (a: never, b: never) => new Trainer(a, b),
  checkClasses: (a: never) => checkClasses('classes', a),
  multiStepLearningRate: (a: never, b: never) => multiStepLearningRate(a, b),
  cocoAveragePrecision: (a: never, b: never) => cocoAveragePrecision(a, b),
};

/** Words of an error that says nothing to the one who called. */
const INTERNAL =
  /Cannot (read|destructure|convert)|is not (a function|iterable|defined)|undefined \(|Invalid array length|call stack/;

function calls(trial: Trial, chosen: Record<string, Act>) {
  const names = Object.keys(chosen);
  return repeat(trial, async () => {
    const name = trial.pick(names);
    const args = [trial.pick(ODD), trial.pick(ODD)] as never[];
    const began = performance.now();
    const error = await Promise.resolve()
      .then(() => chosen[name]!(...args))
      .then(
        (result) => (result as { dispose?: () => void } | undefined)?.dispose?.(),
        (reason: Error) => reason,
      );
    if (error && INTERNAL.test(error.message)) throw new Error(`${name} answers ${error.message}`);
    const seconds = (performance.now() - began) / 1000;
    if (seconds > 10) throw new Error(`${name} took ${seconds.toFixed(1)} s`);
  });
}

export const argumentRows: Row[] = [
  {
    name: 'arguments',
    what: 'public functions are called with values that none expects: each answers at once, with an error that names the argument',
    run: (trial) => calls(trial, acts),
    control: (trial) => calls(trial, { careless: (a: { b: { c: number } }) => a.b.c }),
  },
];
