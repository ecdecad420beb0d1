import type { Schema } from '../base/option.ts';

const path = (description: string): Schema => ({ type: 'string', minLength: 1, description });

/** The JSON Schema of data set files, as editors read it; `loadDatasetConfig` checks more. */
export const datasetSchema: Schema = {
  title: 'Data set in Pascal VOC format (--config)',
  type: 'object',
  properties: {
    CLASSES: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      uniqueItems: true,
      description: 'names of the classes, in the order of their labels',
    },
    TRAIN_IMG: path('folder of the training images'),
    TRAIN_ANNOT: path('folder of the XML files of the training images'),
    VALID_IMG: path('folder of the validation images'),
    VALID_ANNOT: path('folder of the XML files of the validation images'),
    VOC_ROOT: path('folder with JPEGImages, Annotations and ImageSets/Main, instead of the four folders'),
    TRAIN_SPLIT: { ...path('list in ImageSets/Main to train on'), default: 'train' },
    VALID_SPLIT: { ...path('list in ImageSets/Main to validate on'), default: 'val' },
    TEST_SPLIT: path('list in ImageSets/Main for evaluate --split test'),
    VISUALIZE_TRANSFORMED_IMAGES: {
      type: 'boolean',
      default: false,
      description: 'write some training images as the model gets them',
    },
    DEFAULT_BOXES: { type: 'object', description: 'default boxes or anchors, as analyze --write-config proposes them' },
  },
  required: ['CLASSES'],
  additionalProperties: false,
};
