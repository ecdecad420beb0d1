import { Command } from 'commander';
import { loadDatasetConfig } from '../../data/dataset-config.ts';
import { previewAugmentation } from '../../data/preview.ts';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { interruptible } from '../interruption.ts';
import { augmentationHelp, readAugmentation } from '../options/augmentation-option.ts';
import { imageSize } from '../options/model-options.ts';
import { integer, integers } from '../options/option-values.ts';
import { checkOutFile } from '../options/out-file.ts';
import { openDataset } from '../output/open-dataset.ts';
import { UsageError } from '../usage-error.ts';

interface Flags {
  config: string;
  augmentation: string;
  imgsz?: number[];
  epoch: number;
  epochs: number;
  count: number;
  seed: number;
  output: string;
  force?: true;
}

const examples = `
Examples:
  dinov3-det preview --config configs/bccd.yaml --output sheet.png
  dinov3-det preview --config configs/voc.yaml --augmentation augmentation.yaml --epoch 3 --count 24 --output sheet.png --force`;

/** `dinov3-det preview`: training images as the model gets them. */
export function previewCommand(): Command {
  return new Command('preview')
    .description('show training images as the model gets them, with their boxes, on one sheet')
    .requiredOption('--config <yaml>', 'required: the data set file')
    .requiredOption('--output <png>', 'required: the file to write')
    .option('--augmentation <name|file>', augmentationHelp, 'ssd')
    .option('--imgsz <size...>', 'width and height that images are resized to (default: 640 640)', integers(1))
    .option('--epoch <n>', 'the epoch to show', integer(1), 1)
    .option('--epochs <n>', 'epochs of the run, of which the last are without augmentation', integer(1), 20)
    .option('--count <n>', 'images on the sheet, 1 to 100', integer(1), 8)
    .option('--seed <n>', 'of order, flips and augmentation', integer(0), 42)
    .option('--force', 'replace the file if it is there')
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => preview(flags, signal)));
}

async function preview(flags: Flags, signal: AbortSignal): Promise<void> {
  const { epoch, epochs, count, seed, output, force } = flags;
  await checkOutFile('--output', output, force ?? false);
  if (epoch > epochs) throw new UsageError(`--epoch ${epoch}: the run has ${epochs} epochs. See --epochs`);
  if (count > 100) throw new UsageError(`--count ${count}: a sheet has 100 images at most`);
  const size = imageSize(flags.imgsz ?? [640, 640]);
  const augmentation = await readAugmentation(flags.augmentation);
  const { train, classes } = await loadDatasetConfig(flags.config);
  const dataset = await openDataset('training', { ...train, classes, verifyImages: false, signal });
  const onWarning = (message: string) => console.error(`Warning: ${message}`);
  const shown = { imageSize: size, augmentation, seed, epochs, epoch, count };
  const png = await previewAugmentation(dataset, { ...shown, onWarning, signal });
  await writeFileAtomic(output, png);
  console.log(`Wrote ${output}`);
}
