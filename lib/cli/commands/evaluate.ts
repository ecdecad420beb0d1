import { Command, Option } from 'commander';
import { loadDatasetConfig } from '../../data/dataset-config.ts';
import { type EvaluationResult, Evaluator } from '../../evaluation/evaluator.ts';
import { evaluatorTable } from '../../evaluation/evaluator-options.ts';
import { interruptible } from '../interruption.ts';
import { addOptions, addOwn, addRequired, givenOptions } from '../options/option-flags.ts';
import { sourceOf, splits } from '../options/split.ts';
import {
  addTrainedDetectorOptions,
  checkTrainedDetectorFlags,
  openTrainedDetector,
  type TrainedDetectorFlags,
} from '../options/trained-detector.ts';
import { formatEvaluation } from '../output/evaluation-text.ts';
import { openDataset } from '../output/open-dataset.ts';
import { createProgress } from '../output/progress.ts';

interface Flags extends TrainedDetectorFlags {
  config: string;
  split: (typeof splits)[number];
  json?: true;
}

const examples = `
Examples:
  dinov3-det evaluate --checkpoint runs/train/best --config configs/voc.yaml
  dinov3-det evaluate --checkpoint runs/bccd/best --config configs/bccd.yaml --split test --json > scores.json
  dinov3-det evaluate --weights best_model.pth --config configs/voc.yaml --imgsz 640 640`;

/** `dinov3-det evaluate`: COCO's, VOC's and the article's numbers of a checkpoint. */
export function evaluateCommand(): Command {
  const command = new Command('evaluate').description('measure a trained detector on a data set');
  addRequired(command, '--config <yaml>', 'the data set file');
  addOwn(command, 'Data', new Option('--split <name>', 'the part of the data set').choices(splits).default('valid'));
  addOptions(addTrainedDetectorOptions(command), evaluatorTable);
  return addOwn(command, 'Output', new Option('--json', 'print the result as JSON'))
    .addHelpText('after', examples)
    .action(async (flags: Flags) => {
      const result = await interruptible('Stopping', (signal) => evaluate(flags, signal));
      console.log(flags.json ? JSON.stringify(result) : formatEvaluation(result));
    });
}

async function evaluate(flags: Flags, signal: AbortSignal): Promise<EvaluationResult> {
  checkTrainedDetectorFlags(flags);
  const { config: path, split } = flags;
  const config = await loadDatasetConfig(path);
  const source = sourceOf(config, split);
  const detector = await openTrainedDetector(flags);
  try {
    const dataset = await openDataset(split, { ...source, classes: config.classes, signal });
    const evaluator = new Evaluator(dataset, givenOptions(evaluatorTable, flags));
    const progress = createProgress({ total: dataset.length, unit: 'image', label: 'Evaluating' });
    const onWarning = (message: string) => console.error(`Warning: ${message}`);
    try {
      return await evaluator.evaluate(detector, { onProgress: (done) => progress.update(done), onWarning, signal });
    } finally {
      progress.stop();
    }
  } finally {
    detector.dispose();
  }
}
