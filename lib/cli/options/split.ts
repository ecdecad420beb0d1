import type { DatasetConfig } from '../../data/dataset-config.ts';
import type { VocSource } from '../../data/voc-files.ts';
import { UsageError } from '../usage-error.ts';

export const splits = ['train', 'valid', 'test'] as const;

/** Where a part of a data set lies. @throws UsageError for a test split that the file does not have */
export function sourceOf(config: DatasetConfig, split: (typeof splits)[number]): VocSource {
  const source = config[split];
  if (source !== undefined) return source;
  throw new UsageError(`--split ${split}: ${config.path} has no TEST_SPLIT`);
}
