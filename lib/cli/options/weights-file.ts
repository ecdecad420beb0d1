import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import dotenv from 'dotenv';
import { DetectorError, messageOf } from '../../base/errors.ts';
import { type WeightsFormat, weightsFormat } from '../../weights/open-weights.ts';

export interface WeightsFile {
  path: string;
  /** The format, detected from the content: weights of the backbone, or a program that is the backbone. */
  kind: WeightsFormat;
}

const VARIABLE = 'DINOv3_WEIGHTS';

/**
 * Finds the file of `--weights`. As in the article, a bare file name is searched in the folder of `DINOv3_WEIGHTS`. This variable is set in
 * the environment or in `.env` of the current directory. Other paths, and names not found there, are relative to the current directory.
 * @throws {DetectorError} `WEIGHTS_NOT_FOUND` with every place tried; `WEIGHTS_INVALID` for an unsupported format
 */
export async function findWeights(name: string): Promise<WeightsFile> {
  const folder = name === basename(name) ? await weightsFolder() : undefined;
  const places = [...(folder === undefined ? [] : [resolve(folder, name)]), resolve(name)];
  for (const path of places) {
    if ((await stat(path).catch(() => undefined))?.isFile()) return { path, kind: await weightsFormat(path) };
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
