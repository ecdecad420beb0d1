import { Command, Option } from 'commander';
import { pick, resolve } from '../../base/option.ts';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { type PreviewOptions, previewAugmentation, previewTable } from '../../training/preview.ts';
import { interruptible } from '../interruption.ts';
import { augmentationHelp, readAugmentation } from '../options/augmentation-option.ts';
import { addDataOptions, choosePart, type DataFlags, findData, openDataPart } from '../options/data-option.ts';
import { imageSize } from '../options/model-options.ts';
import { addOptions, addOwn, addRequired, givenOptions } from '../options/option-flags.ts';
import { checkOutFile } from '../options/out-file.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends DataFlags {
  augmentation: string;
  imageSize?: number[];
  output: string;
  force?: true;
}

const shown = ['resize', 'epoch', 'count', 'epochs', 'flipProbability', 'seed'] as const;

const examples = `
Examples:
  dinov3-det preview --config configs/bccd.yaml --output sheet.png
  dinov3-det preview --config configs/voc.yaml --augmentation augmentation.yaml --epoch 3 --count 24 --output sheet.png --force`;

/** `dinov3-det preview`: draws training images as the model gets them. */
export function previewCommand(): Command {
  const command = new Command('preview').description(
    'show training images as the model gets them, with their boxes, on one sheet',
  );
  addRequired(command, '--output <png>', 'the file to write');
  addDataOptions(command);
  addOwn(command, 'Augmentation', new Option('--augmentation <name|file>', augmentationHelp).default('ssd'));
  addOptions(command, pick(previewTable, ['imageSize', ...shown]));
  return addOwn(command, 'Output', new Option('--force', 'replace an existing file'))
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => preview(flags, signal)));
}

async function preview(flags: Flags, signal: AbortSignal): Promise<void> {
  const { output, force } = flags;
  await checkOutFile('--output', output, force ?? false);
  const own = givenOptions(pick(previewTable, shown), flags) as PreviewOptions;
  const { epoch, epochs } = resolve(pick(previewTable, ['epoch', 'epochs']), { epoch: own.epoch, epochs: own.epochs });
  if (epoch > epochs) throw new UsageError(`--epoch ${epoch}: the run has ${epochs} epochs. See --epochs`);
  const size = imageSize(flags.imageSize ?? [640, 640]);
  const augmentation = await readAugmentation(flags.augmentation);
  const data = await findData(flags, signal, false);
  const dataset = await openDataPart(data, choosePart(data, {}, 'train'), {});
  const onWarning = (message: string) => console.error(`Warning: ${message}`);
  const png = await previewAugmentation(dataset, { ...own, imageSize: size, augmentation, onWarning, signal });
  await writeFileAtomic(output, png);
  console.log(`Wrote ${output}`);
}
