import { Command, Option } from 'commander';
import { loadDatasetConfig } from '../../data/dataset-config.ts';
import { Detector } from '../../detector/detector.ts';
import type { ModelSummary } from '../../detector/summary.ts';
import { addModelOptions, type ModelFlags, modelOptions } from '../options/model-options.ts';
import { addOwn, addRequired } from '../options/option-flags.ts';
import { alignColumns, formatTotals, thousands } from '../output/text.ts';

type Flags = ModelFlags & { config: string; fineTune?: true; json?: true };

const examples = `
Examples:
  dinov3-det summary --config configs/voc.yaml --preset article --imgsz 640 640
  dinov3-det summary --config configs/voc.yaml --backbone convnext_base --fine-tune
Of the configuration only CLASSES and DEFAULT_BOXES count: the images need not be there.`;

/** `dinov3-det summary`: prints the layer table of a model. */
export function summaryCommand(): Command {
  const command = new Command('summary').description('print the layers and parameters of a detector');
  addModelOptions(addRequired(command, '--config <yaml>', 'the data set file, for its classes'));
  addOwn(command, 'Output', new Option('--fine-tune', 'count the backbone as trainable'));
  return addOwn(command, 'Output', new Option('--json', 'print the summary as JSON'))
    .addHelpText('after', examples)
    .action(async (flags: Flags) => {
      const options = await modelOptions(flags);
      const { classes, defaultBoxes } = await loadDatasetConfig(flags.config);
      const detector = await Detector.create({ ...options, classes, ...(defaultBoxes && { defaultBoxes }) });
      try {
        const summary = await detector.summary({ fineTune: flags.fineTune ?? false });
        console.log(flags.json ? JSON.stringify(summary) : formatSummary(summary));
      } finally {
        detector.dispose();
      }
    });
}

/** Formats the table and the totals like the article. */
function formatSummary({ rows, totalParameters, trainableParameters }: ModelSummary): string {
  const shape = (sizes: readonly number[]) => `[${sizes.join(', ')}]`;
  const lines = rows.map(({ depth, name, inputShape, outputShape, parameters }) => [
    `${'  '.repeat(depth)}${name}`,
    shape(inputShape),
    shape(outputShape),
    parameters === 0 ? '--' : thousands(parameters),
  ]);
  const table = alignColumns([['Layer', 'Input Shape', 'Output Shape', 'Param #'], ...lines]).split('\n');
  const rule = '='.repeat(Math.max(...table.map(({ length }) => length)));
  return [
    rule,
    table[0]!,
    rule,
    ...table.slice(1),
    rule,
    formatTotals(totalParameters, trainableParameters),
    rule,
  ].join('\n');
}
