import { dirname, join, relative, resolve } from 'node:path';
import { DetectorError } from '../../base/errors.ts';
import { loadDatasetConfig } from '../dataset-config.ts';
import { partNames } from '../part-name.ts';
import { listVocFiles } from '../voc-files.ts';
import type { DatasetFormat, FoundDataset, Place } from './format.ts';
import { vocPart } from './voc.ts';

/** The data set file of this project (and of the article): a YAML file with the classes and the folders of Pascal VOC data. */
export const project: DatasetFormat = {
  name: 'config',
  title: 'data set file',
  claims: ({ name, text }) => /\.ya?ml$/i.test(name) && /^(TRAIN_IMG|VALID_IMG|VOC_ROOT|CLASSES)\s*:/m.test(text),
  locate,
};

async function locate(claimed: readonly string[], place: Place): Promise<FoundDataset> {
  if (claimed.length > 1) {
    throw new DetectorError(
      'CONFIG_INVALID',
      `Several data set files in "${place.root}": ${claimed.slice(0, 5).join(', ')}. Give one`,
    );
  }
  const config = await loadDatasetConfig(join(place.root, claimed[0]!));
  place.footprint.describe(config.path);
  for (const source of partNames.flatMap((part) => config[part] ?? [])) {
    // A path is relative to the current directory, and to the file only if it is not there.
    for (const path of Object.values(source)) place.footprint.use(resolve(relative(dirname(config.path), path)));
  }
  const given = partNames.filter((part) => config[part] !== undefined);
  return {
    description: relative(place.root, config.path),
    classes: config.classes,
    config,
    parts: new Map(
      given.map((part) => [
        part,
        async () => vocPart(await listVocFiles(config[part]!, place.footprint, place.signal), place.limits),
      ]),
    ),
  };
}
