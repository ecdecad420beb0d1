import { Command, Option } from 'commander';
import { pick } from '../../base/option.ts';
import { previewAugmentation } from '../../data/preview.ts';
import { createTable } from '../../detector/detector-options.ts';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { interruptible } from '../interruption.ts';
import { augmentationHelp, readAugmentation } from '../options/augmentation-option.ts';
import { addDataOptions, choosePart, type DataFlags, findData, openDataPart } from '../options/data-option.ts';
import { imageSize } from '../options/model-options.ts';
import { addOptions, addOwn, addRequired } from '../options/option-flags.ts';
import { integer } from '../options/option-values.ts';
import { checkOutFile } from '../options/out-file.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends DataFlags {
  augmentation: string;
  imageSize?: number[];
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
  const command = new Command('preview').description(
    'show training images as the model gets them, with their boxes, on one sheet',
  );
  addRequired(command, '--output <png>', 'the file to write');
  addDataOptions(command);
  addOwn(command, 'Augmentation', new Option('--augmentation <name|file>', augmentationHelp).default('ssd'));
  addOptions(command, pick(createTable, ['imageSize']));
  const own = (flags: string, help: string, min: number, value: number) =>
    addOwn(command, 'Images', new Option(flags, help).argParser(integer(min)).default(value));
  own('--epoch <n>', 'the epoch to show', 1, 1);
  own('--epochs <n>', 'epochs of the run, of which the last are without augmentation', 1, 20);
  own('--count <n>', 'images on the sheet, 1 to 100', 1, 8);
  own('--seed <n>', 'of order, flips and augmentation', 0, 42);
  return addOwn(command, 'Output', new Option('--force', 'replace the file if it is there'))
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => preview(flags, signal)));
}

async function preview(flags: Flags, signal: AbortSignal): Promise<void> {
  const { epoch, epochs, count, seed, output, force } = flags;
  await checkOutFile('--output', output, force ?? false);
  if (epoch > epochs) throw new UsageError(`--epoch ${epoch}: the run has ${epochs} epochs. See --epochs`);
  if (count > 100) throw new UsageError(`--count ${count}: a sheet has 100 images at most`);
  const size = imageSize(flags.imageSize ?? [640, 640]);
  const augmentation = await readAugmentation(flags.augmentation);
  const data = await findData(flags, signal, false);
  const dataset = await openDataPart(data, choosePart(data, {}, 'train'), {});
  const onWarning = (message: string) => console.error(`Warning: ${message}`);
  const shown = { imageSize: size, augmentation, seed, epochs, epoch, count };
  const png = await previewAugmentation(dataset, { ...shown, onWarning, signal });
  await writeFileAtomic(output, png);
  console.log(`Wrote ${output}`);
}
