import type { DatasetHandle, OpenDatasetOptions, OpenedDataset } from './open-dataset-options.ts';

/**
 * Opens a data set of any common format: the data set file of this project, Pascal VOC, COCO JSON, YOLO, LabelMe, CVAT, Label Studio, or an
 * ImageFolder with `metadata.jsonl`. The format is detected from the content. Unusable data is skipped or repaired, listed in `issues` and
 * counted in `counts`. The files stay unchanged.
 *
 * @example
 * const train = await openDataset('fruit/data.yaml', { split: 'train' });
 *
 * @throws {TypeError|RangeError} for a wrong option
 * @throws {DetectorError} `DATASET_NOT_FOUND` if there is no known format, or no such part
 * @throws {DetectorError} `DATASET_EMPTY` if no image or no object could be used
 * @throws {DetectorError} `CONFIG_INVALID` for two formats at once, or a wrong data set file
 * @throws {DetectorError} `ANNOTATION_INVALID` if a file with all annotations cannot be read
 * @throws the reason of `signal` when it is aborted
 */
export async function openDataset(path: string, options: OpenDatasetOptions = {}): Promise<OpenedDataset> {
  const handle = await findDataset(path, options);
  return await handle.open(options.split, options.onProgress);
}

/** Finds a data set as `openDataset` does, and leaves open which parts of it are read. `split` and `onProgress` are not looked at. */
export async function findDataset(path: string, options: OpenDatasetOptions = {}): Promise<DatasetHandle> {
  const { locateDataset } = await import('./locate-dataset.ts'); // on first use: a program that only detects starts without it
  return await locateDataset(path, options);
}
