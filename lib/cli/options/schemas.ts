import type { Schema } from '../../base/option.ts';
import { augmentationSchema } from '../../data/augment/options.ts';
import { datasetSchema } from '../../data/dataset-schema.ts';
import { settingsSchema } from '../../training/settings.ts';

const DRAFT = { $schema: 'http://json-schema.org/draft-07/schema#' };

/** The JSON Schemas of the YAML files for commands, by their file names in configs/. */
export function schemas(): Record<string, Schema> {
  return {
    'augmentation.schema.json': {
      ...DRAFT,
      title: 'Augmentation of a training (--augmentation)',
      type: 'object',
      properties: { augmentation: augmentationSchema },
      required: ['augmentation'],
      additionalProperties: false,
    },
    'dataset.schema.json': { ...DRAFT, ...datasetSchema },
    'settings.schema.json': { ...DRAFT, ...settingsSchema() },
  };
}
