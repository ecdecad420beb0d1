import { Command, Option } from 'commander';
import { type DatasetParts, writeDataset, writerNames } from '../../data/write-dataset.ts';
import { interruptible } from '../interruption.ts';
import { addDataOptions, type DataFlags, findData } from '../options/data-option.ts';
import { openPart } from '../output/open-dataset.ts';
import { createProgress } from '../output/progress.ts';

interface Flags extends DataFlags {
  to: string;
  out: string;
}

const examples = `
Examples:
  dinov3-det convert --data labels/ --to coco --out labels-coco
  dinov3-det convert --data fruit/data.yaml --to label-studio --out fruit-label-studio
Reads any data set that train reads, and copies the images. Nothing of the data set is changed.`;

/** `dinov3-det convert`: a data set in another format. */
export function convertCommand(): Command {
  const command = new Command('convert').description('write a data set in another format');
  return addDataOptions(command)
    .addOption(new Option('--to <format>', 'required: the format').choices(writerNames).makeOptionMandatory())
    .requiredOption('--out <dir>', 'required: a new or empty folder')
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => convert(flags, signal)));
}

async function convert(flags: Flags, signal: AbortSignal): Promise<void> {
  const data = await findData(flags, signal);
  const parts: { -readonly [Part in keyof DatasetParts]: DatasetParts[Part] } = {};
  if (data.parts.length === 0) parts.all = await openPart('whole', data, undefined);
  for (const part of data.parts) parts[part] = await openPart(part, data, part);
  const total = Object.values(parts).reduce((sum, part) => sum + part!.length, 0);
  const progress = createProgress({ total, unit: 'image', label: 'Copying' });
  const onProgress = (done: number) => progress.update(done);
  await writeDataset(flags.out, parts, { format: flags.to, signal, onProgress }).finally(() => progress.stop());
  console.log(`Wrote ${total} images in the format ${flags.to}: ${flags.out}`);
}
