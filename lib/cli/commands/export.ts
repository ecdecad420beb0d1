import { dirname, extname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type ExportOptions, exportTable } from '../../detector/export-options.ts';
import { interruptible } from '../interruption.ts';
import { shareNms, takeNmsPlace, verificationText } from '../options/onnx-flags.ts';
import { addOptions, addOwn, addRequired, givenOptions } from '../options/option-flags.ts';
import { checkOutFile } from '../options/out-file.ts';
import {
  addTrainedDetectorOptions,
  checkTrainedDetectorFlags,
  openTrainedDetector,
  type TrainedDetectorFlags,
} from '../options/trained-detector.ts';
import { thousands } from '../output/text.ts';
import { UsageError } from '../usage-error.ts';

interface Flags extends TrainedDetectorFlags {
  out: string;
  force?: true;
}

const examples = `
Examples:
  dinov3-det export --checkpoint runs/train/best --format pth --out best_model.pth
  dinov3-det export --checkpoint runs/train/best --format safetensors --out detector.safetensors
  dinov3-det export --checkpoint runs/train/best --format safetensors --part backbone --out backbone.safetensors
  dinov3-det export --checkpoint runs/train/best --format torchscript --out detector.pt
  dinov3-det export --checkpoint runs/train/best --format onnx --out detector.onnx
  dinov3-det export --checkpoint runs/train/best --format onnx --nms none --input float --out detector.onnx
  dinov3-det export --checkpoint runs/train/best --format transformersjs --out my-detector
  dinov3-det export --weights best_model.pth --config configs/voc.yaml --format safetensors --out detector.safetensors
In Python: model.load_state_dict(torch.load('best_model.pth', weights_only=True)['model_state_dict']), with the article's model; the
backbone alone fits the load_state_dict of DINOv3's own ConvNeXt. Of torchscript: torch.jit.load('detector.pt')(images) gives for each
of the images [N,3,H,W], 0 to 1, its boxes, scores and labels.`;

/** `dinov3-det export`: writes a trained detector to one file for other programs. */
export function exportCommand(): Command {
  const command = new Command('export');
  command.description('write the detector to one file that PyTorch, ONNX Runtime and other programs read');
  addRequired(command, '--out <file>', 'the file to write; for transformersjs, a new directory');
  addOptions(command, exportTable);
  addTrainedDetectorOptions(command);
  shareNms(command);
  addOwn(command, 'Detector', new Option('--config <yaml>', 'with --weights: the data set file, for its classes'));
  return addOwn(command, 'Output', new Option('--force', 'replace an existing file'))
    .addHelpText('after', examples)
    .action((flags: Flags) => interruptible('Stopping', (signal) => exportFile(flags, signal)));
}

async function exportFile(flags: Flags, signal: AbortSignal): Promise<void> {
  const { checkpoint, out, force } = flags;
  const nms = takeNmsPlace(flags);
  const options: ExportOptions = givenOptions(exportTable, { ...flags, nms });
  checkTrainedDetectorFlags(flags);
  if (options.format !== 'transformersjs') await checkOut(out, checkpoint, force ?? false);
  const detector = await openTrainedDetector(flags);
  try {
    signal.throwIfAborted();
    const { tensors, bytes, verification } = await detector.export(out, { ...options, signal });
    console.log(`Wrote ${out}: ${tensors} tensors, ${thousands(bytes)} bytes`);
    const isOnnx = options.format === 'transformersjs' || (options.format ?? extname(out).slice(1)) === 'onnx';
    if (isOnnx) console.log(verificationText(verification, options.verify ?? true));
  } finally {
    detector.dispose();
  }
}

/** Checks the output file. An existing file needs --force. The folder of the checkpoint is not allowed. @throws {UsageError} */
async function checkOut(out: string, checkpoint: string | undefined, force: boolean): Promise<void> {
  if (checkpoint !== undefined && dirname(resolve(out)) === resolve(checkpoint))
    throw new UsageError(`--out: ${out} is in the directory of the checkpoint. Name a file elsewhere`);
  await checkOutFile('--out', out, force);
}
