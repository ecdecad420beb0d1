import { open, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import dotenv from 'dotenv';
import { DetectorError, messageOf } from '../errors.ts';

export interface WeightsFile {
  path: string;
  /** Told by content: the backbone's weights, or a program that is the backbone. */
  kind: 'safetensors' | 'torchscript';
}

const VARIABLE = 'DINOv3_WEIGHTS';
/** The directory of a zip archive lies at its end; torch's own has some 100 bytes per tensor. */
const TAIL_BYTES = 4 << 20;

/**
 * Finds the file of `--weights`. As in the article, a bare file name is looked up in the folder that `DINOv3_WEIGHTS` names, in the
 * environment or in `.env` of the current directory; then, like a path, in the current directory.
 * @throws DetectorError WEIGHTS_NOT_FOUND with every place tried; WEIGHTS_INVALID for a format that is not taken
 */
export async function findWeights(name: string): Promise<WeightsFile> {
  const folder = name === basename(name) ? await weightsFolder() : undefined;
  const places = [...(folder === undefined ? [] : [resolve(folder, name)]), resolve(name)];
  for (const path of places) {
    if ((await stat(path).catch(() => undefined))?.isFile()) return { path, kind: await weightsKind(path) };
  }
  const remedy =
    folder === undefined && name === basename(name)
      ? `Give its path, or set ${VARIABLE} (in the environment or in .env) to the folder of the weights`
      : 'Check the path';
  throw new DetectorError(
    'WEIGHTS_NOT_FOUND',
    `No weights file "${name}": looked for ${[...new Set(places)].join(' and ')}. ${remedy}`,
  );
}

async function weightsFolder(): Promise<string | undefined> {
  if (process.env[VARIABLE]) return process.env[VARIABLE];
  const text = await readFile(join(process.cwd(), '.env'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw new DetectorError('CONFIG_INVALID', `Cannot read .env: ${messageOf(error)}`, { cause: error });
  });
  return dotenv.parse(text)[VARIABLE] || undefined;
}

async function weightsKind(path: string): Promise<WeightsFile['kind']> {
  const { head, tail, size } = await readEnds(path);
  if (head.subarray(0, 4).toString('latin1') === 'PK\x03\x04') {
    if (tail.includes('/constants.pkl')) return 'torchscript';
    throw refused(path, 'is a file of torch.save (.pth)');
  }
  if (head.length === 9 && head[8] === 0x7b && head.readBigUInt64LE() <= size) return 'safetensors';
  throw refused(path, head[0] === 0x80 ? 'is a pickle (.pth)' : 'is of an unknown format');
}

async function readEnds(path: string): Promise<{ head: Buffer; tail: Buffer; size: number }> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const tailBytes = Math.min(size, TAIL_BYTES);
    const head = await handle.read(Buffer.alloc(9), 0, 9, 0);
    const tail = await handle.read(Buffer.alloc(tailBytes), 0, tailBytes, size - tailBytes);
    return { head: head.buffer.subarray(0, head.bytesRead), tail: tail.buffer, size };
  } finally {
    await handle.close();
  }
}

function refused(path: string, what: string): DetectorError {
  const convert =
    'from safetensors.torch import save_file; import torch; ' +
    'save_file({k: v.clone() for k, v in torch.load("in.pth").items()}, "out.safetensors")';
  return new DetectorError(
    'WEIGHTS_INVALID',
    `${path} ${what}. Taken are safetensors with the names of the released state_dict, and TorchScript (torch.jit.save). ` +
      `Where there is Python, convert with: python3 -c '${convert}'`,
  );
}
