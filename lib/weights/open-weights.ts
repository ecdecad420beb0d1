import { DetectorError } from '../base/errors.ts';
import type { ByteSource } from '../files/byte-source.ts';
import { ZipError } from '../files/zip-format.ts';
import { findKeyMap, mapKey } from './key-maps.ts';
import { readSafetensorsHeader, type TensorSpan } from './safetensors.ts';
import { readTorchFile } from './torch/pth.ts';
import { readZip } from './torch/zip.ts';
import { withWeightsFile } from './weights-file.ts';

export type WeightsFormat = 'safetensors' | 'torch' | 'torchscript';

export interface OpenedWeights {
  format: WeightsFormat;
  /** The program that wrote the file, identified by the names in it; undefined if they are unknown. */
  source: string | undefined;
  /** The tensors under our names (`backbone.*`, `head.*`), with offset and length in the file. */
  tensors: TensorSpan[];
  /** The names without a use here, such as a classifier's. Second names of the same tensor are not listed. */
  unneeded: string[];
}

const ZIP = 0x04034b50;
/** The first bytes of a file from `torch.save` before 1.6: its pickled magic number. */
const LEGACY = Buffer.from('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.', 'latin1');
const SUPPORTED =
  'Supported files: safetensors or torch.save with the weights of a DINOv3 ConvNeXt, or TorchScript (torch.jit.save) as the backbone.';

/**
 * Detects the format of a weights file from its content.
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND`; `WEIGHTS_INVALID` for an unsupported format, with a way to convert it
 */
export async function weightsFormat(path: string): Promise<WeightsFormat> {
  return await withWeightsFile(path, async (source) => {
    const head = await source.read(0, Math.min(source.size, LEGACY.length));
    if (head.length >= 4 && head.readUInt32LE() === ZIP) return await zipFormat(source, path);
    if (head.length >= 9 && head[8] === 0x7b && head.readBigUInt64LE() <= source.size) return 'safetensors';
    if (head.equals(LEGACY)) {
      const save =
        'torch.save(torch.load("in.pth", weights_only=True), "out.pth", _use_new_zipfile_serialization=True)';
      throw refused(path, `was written by torch.save before torch 1.6. Convert it: python3 -c 'import torch; ${save}'`);
    }
    if (head[0] === 0x80) {
      throw refused(
        path,
        'is a plain pickle, which may run any code. Write the weights with torch.save, or as safetensors',
      );
    }
    throw refused(path, `has an unknown format. ${SUPPORTED} Check that the download is complete and not a web page.`);
  });
}

async function zipFormat(source: ByteSource, path: string): Promise<WeightsFormat> {
  try {
    const names = (await readZip(source)).map(({ name }) => name.slice(name.indexOf('/') + 1));
    if (names.includes('constants.pkl')) return 'torchscript';
    if (names.includes('data.pkl')) return 'torch';
  } catch (error) {
    if (!(error instanceof ZipError)) throw error;
    throw refused(path, `is a damaged zip archive: it ${error.message}. Download or write the file again`, error);
  }
  throw refused(path, `is a zip archive that torch did not write. ${SUPPORTED}`);
}

/**
 * Opens a weights file. Format and names are detected from its content. The tensors get our names, and their bytes stay in the file.
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND`, `WEIGHTS_INVALID`
 */
export async function openWeights(path: string): Promise<OpenedWeights> {
  const format = await weightsFormat(path);
  if (format === 'torchscript') {
    throw refused(
      path,
      `is a TorchScript program, which is a whole backbone: give it as { torchscript: path }, or after --backbone`,
    );
  }
  const { tensors } = format === 'torch' ? await readTorchFile(path) : await readSafetensorsHeader(path);
  return { format, ...rename(path, tensors) };
}

function rename(path: string, tensors: readonly TensorSpan[]): Omit<OpenedWeights, 'format'> {
  const map = findKeyMap(tensors.map(({ name }) => name));
  if (!map) return { source: undefined, tensors: [], unneeded: tensors.map(({ name }) => name) };
  const renamed = new Map<string, TensorSpan>();
  const unneeded: string[] = [];
  for (const tensor of tensors) {
    const name = mapKey(map, tensor.name);
    if (name === undefined) {
      if (!map.alias?.test(tensor.name)) unneeded.push(tensor.name);
    } else if (renamed.has(name)) {
      throw refused(path, `has two tensors that are ${name}, one of them ${JSON.stringify(tensor.name)}`);
    } else {
      renamed.set(name, { ...tensor, name });
    }
  }
  return { source: map.source, tensors: [...renamed.values()], unneeded };
}

function refused(path: string, what: string, cause?: unknown): DetectorError {
  return new DetectorError('WEIGHTS_INVALID', `${path} ${what}`, { cause });
}
