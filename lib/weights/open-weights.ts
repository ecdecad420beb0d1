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
  /** What wrote the file, by the names in it; undefined when they are not known. */
  source: string | undefined;
  /** Under our names (`backbone.*`, `head.*`), to be read from the file by offset and length. */
  tensors: TensorSpan[];
  /** Names in the file that mean nothing here, such as a classifier's. Second names of the same tensor are not listed. */
  unneeded: string[];
}

const ZIP = 0x04034b50;
/** `torch.save` before 1.6 begins with its magic number, pickled by itself. */
const LEGACY = Buffer.from('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.', 'latin1');
const TAKEN =
  'Taken are safetensors and files of torch.save with the weights of a DINOv3 ConvNeXt, and TorchScript (torch.jit.save) as the backbone itself.';

/**
 * What a file is, by its content.
 * @throws DetectorError WEIGHTS_NOT_FOUND; WEIGHTS_INVALID for a format that is not taken, with the way to one that is
 */
export async function weightsFormat(path: string): Promise<WeightsFormat> {
  return await withWeightsFile(path, async (source) => {
    const head = await source.read(0, Math.min(source.size, LEGACY.length));
    if (head.length >= 4 && head.readUInt32LE() === ZIP) return await zipFormat(source, path);
    if (head.length >= 9 && head[8] === 0x7b && head.readBigUInt64LE() <= source.size) return 'safetensors';
    if (head.equals(LEGACY)) {
      const save =
        'torch.save(torch.load("in.pth", weights_only=True), "out.pth", _use_new_zipfile_serialization=True)';
      throw refused(path, `is of torch.save before torch 1.6. Write it anew: python3 -c 'import torch; ${save}'`);
    }
    if (head[0] === 0x80) {
      throw refused(
        path,
        'is a plain pickle, which may run any code. Write the weights with torch.save, or as safetensors',
      );
    }
    throw refused(path, `is of an unknown format. ${TAKEN} Is the file whole, and is it the file and not a web page?`);
  });
}

async function zipFormat(source: ByteSource, path: string): Promise<WeightsFormat> {
  try {
    const names = (await readZip(source)).map(({ name }) => name.slice(name.indexOf('/') + 1));
    if (names.includes('constants.pkl')) return 'torchscript';
    if (names.includes('data.pkl')) return 'torch';
  } catch (error) {
    if (!(error instanceof ZipError)) throw error;
    throw refused(path, `is a damaged zip archive: it ${error.message}. Get the file again or write it anew`, error);
  }
  throw refused(path, `is a zip archive that torch did not write. ${TAKEN}`);
}

/**
 * Opens a file of weights of any kind: format and names are told by content, and the tensors get our names. Tensor bytes are not kept.
 * @throws DetectorError WEIGHTS_NOT_FOUND, WEIGHTS_INVALID
 */
export async function openWeights(path: string): Promise<OpenedWeights> {
  const format = await weightsFormat(path);
  if (format === 'torchscript') {
    throw refused(
      path,
      `is a TorchScript program, which is a backbone by itself: give it as { torchscript: path }, or after --backbone`,
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
