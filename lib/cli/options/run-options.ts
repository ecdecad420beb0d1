import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DetectorError, messageOf } from '../../base/errors.ts';
import type { TrainerOptions } from '../../training/trainer-options.ts';

type RunOptions = Omit<TrainerOptions, 'train' | 'valid' | 'outDir' | 'resume'>;

/** The training options that a run was started with, from its `config.json`. They are checked by the Trainer. */
export async function readRunOptions(outDir: string): Promise<RunOptions> {
  const path = join(outDir, 'config.json');
  try {
    const { training } = JSON.parse(await readFile(path, 'utf8')) as { training: RunOptions };
    // What was not set is null there.
    return Object.fromEntries(Object.entries(training).filter(([, value]) => value !== null));
  } catch (error) {
    throw new DetectorError(
      'CONFIG_INVALID',
      `Cannot read the options of the run to resume, ${path}: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
