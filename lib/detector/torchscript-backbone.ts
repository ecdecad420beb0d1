import { DetectorError, messageOf } from '../base/errors.ts';
import type { NativeDetectorOptions } from '../binding.ts';
import { readBoundedFile } from '../files/bounded-file.ts';

/** A TorchScript backbone as the addon takes it. */
export type Program = Pick<NativeDetectorOptions, 'allowedNodes'> & { torchscript?: Buffer };

/** A program is held in memory whole, in one buffer. */
const MAX_TORCHSCRIPT_BYTES = 2 ** 31 - 1;

/** The bytes that were looked into are the bytes that are loaded: the file is read once. */
export async function readTorchScript(path: string, trusted: boolean): Promise<Program> {
  let torchscript: Buffer;
  try {
    torchscript = await readBoundedFile(path, MAX_TORCHSCRIPT_BYTES);
  } catch (error) {
    throw new DetectorError('WEIGHTS_NOT_FOUND', `Cannot read the TorchScript file ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const { vetTorchScript } = await import('../weights/torch/torchscript.ts');
  const { allowedNodes } = await import('../weights/torch/torchscript-operators.ts');
  if (trusted) return { torchscript };
  await vetTorchScript(torchscript, path);
  return { torchscript, allowedNodes: [...allowedNodes] };
}
