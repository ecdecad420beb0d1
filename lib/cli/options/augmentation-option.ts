import { checkKeys } from '../../base/check.ts';
import { DetectorError, messageOf } from '../../base/errors.ts';
import {
  type AugmentationName,
  type AugmentationOptions,
  augmentationNames,
  resolveAugmentation,
} from '../../data/augment/options.ts';
import { parseYaml } from '../../data/dataset-config.ts';
import { readBoundedFile } from '../../files/bounded-file.ts';

const MAX_FILE_BYTES = 64 * 1024;

export const augmentationHelp = `${augmentationNames.join(', ')}, or a YAML file with a section "augmentation"`;

/**
 * Reads the value of `--augmentation`: the name of a profile, or a file with transforms and their options. It is checked before a data set
 * is read.
 * @throws {DetectorError} `CONFIG_INVALID` naming the file and the key
 */
export async function readAugmentation(nameOrFile: string): Promise<AugmentationName | AugmentationOptions> {
  const name = augmentationNames.find((each) => each === nameOrFile);
  if (name !== undefined) return name;
  try {
    const bytes = await readBoundedFile(nameOrFile, MAX_FILE_BYTES);
    const content = await parseYaml(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const { augmentation } = checkKeys('the file', content, ['augmentation']);
    resolveAugmentation('augmentation', augmentation);
    return augmentation as AugmentationName | AugmentationOptions;
  } catch (error) {
    const remedy = `Give ${augmentationHelp}`;
    const message = `--augmentation "${nameOrFile}": ${messageOf(error)}. ${remedy}`;
    throw new DetectorError('CONFIG_INVALID', message, { cause: error });
  }
}
