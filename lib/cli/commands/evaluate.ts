import { Command, Option } from 'commander';
import { type EvaluationResult, Evaluator } from '../../evaluation/evaluator.ts';
import { evaluatorTable } from '../../evaluation/evaluator-options.ts';
import { interruptible } from '../interruption.ts';
import {
  addDataOptions,
  addPartOptions,
  choosePart,
  type DataFlags,
  findData,
  openDataPart,
  type PartFlags,
} from '../options/data-option.ts';
import { addOptions, addOwn, givenOptions } from '../options/option-flags.ts';
import {
  addTrainedDetectorOptions,
  checkTrainedDetectorFlags,
  openTrainedDetector,
  type TrainedDetectorFlags,
} from '../options/trained-detector.ts';
import { formatEvaluation } from '../output/evaluation-text.ts';
import { createProgress } from '../output/progress.ts';

interface Flags extends TrainedDetectorFlags, DataFlags, PartFlags {
  json?: true;
}

const examples = `
Examples:
  dinov3-det evaluate --checkpoint runs/train/best --config configs/voc.yaml
  dinov3-det evaluate --checkpoint runs/bccd/best --config configs/bccd.yaml --split test --json > scores.json
  dinov3-det evaluate --weights best_model.pth --config configs/voc.yaml --imgsz 640 640`;

/** `dinov3-det evaluate`: prints the COCO, VOC and torchmetrics scores of a detector. */
export function evaluateCommand(): Command {
  const command = new Command('evaluate').description('measure a trained detector on a data set');
  addPartOptions(addDataOptions(command), 'valid');
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
  const data = await findData(flags, signal);
  const part = choosePart(data, flags, 'valid');
  const detector = await openTrainedDetector(flags);
  try {
    const dataset = await openDataPart(data, part, flags);
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
