import { type Command, Option } from 'commander';
import { DetectorError } from '../../base/errors.ts';
import { loadDatasetConfig } from '../../data/dataset-config.ts';
import { computeTable } from '../../detector/compute-options.ts';
import { Detector } from '../../detector/detector.ts';
import { loadTable } from '../../detector/detector-options.ts';
import { countMaps } from '../../model/default-box-options.ts';
import { noticeOfCut } from '../../model/postprocess-options.ts';
import { UsageError } from '../usage-error.ts';
import { addModelOptions, type ModelFlags, modelFlagNames, modelOptions } from './model-options.ts';
import { addOptions, addOwn, givenOptions } from './option-flags.ts';

export interface TrainedDetectorFlags extends ModelFlags {
  checkpoint?: string;
  config?: string;
}

/** Adds the options for a trained detector. The caller adds `--config`, because it may need the data set anyway. */
export function addTrainedDetectorOptions<C extends Command>(command: C): C {
  const checkpoint = new Option(
    '--checkpoint <dir>',
    'directory of a checkpoint, for example runs/train/best (or use --weights with --config and the model options)',
  );
  addOwn(command, 'Detector', checkpoint.conflicts(modelFlagNames));
  return addOptions(addModelOptions(command), computeTable);
}

/** Rejects flags that name no detector, before any file is read. @throws {UsageError} */
export function checkTrainedDetectorFlags({ checkpoint, config, weights }: TrainedDetectorFlags): void {
  if (checkpoint !== undefined) return;
  if (weights === undefined) throw new UsageError('Give --checkpoint, or --weights with --config');
  if (config === undefined) throw new UsageError('--weights: a weights file has no class names. Give --config too');
}

/**
 * Opens a trained detector: a checkpoint, or a weights file with a head, such as the article's best_model.pth. The classes of such a file
 * come from `--config`.
 * @throws {UsageError} for contradictory flags
 * @throws {DetectorError} `WEIGHTS_MISMATCH` for a file without a head that fits
 */
export async function openTrainedDetector(flags: TrainedDetectorFlags): Promise<Detector> {
  checkTrainedDetectorFlags(flags);
  const { checkpoint, config = '', weights } = flags;
  const onWarning = (message: string) => console.error(`Warning: ${message}`);
  if (checkpoint !== undefined)
    return await Detector.load(checkpoint, { ...givenOptions(loadTable, flags), onWarning });
  const compute = givenOptions(computeTable, flags);
  const options = await modelOptions(flags);
  const { classes, defaultBoxes } = await loadDatasetConfig(config);
  const detector = await Detector.create({ ...options, classes, ...compute, ...(defaultBoxes && { defaultBoxes }) });
  const { weightReport } = detector;
  if (weightReport?.head) return detector;
  detector.dispose();
  const why =
    weightReport?.wrongShape.length || weightReport?.classes
      ? `its head is for other classes than the ${classes.length} of ${config}, or for another preset`
      : 'it has no head';
  throw new DetectorError(
    'WEIGHTS_MISMATCH',
    `${weights} cannot detect: ${why}. Give the file of a trained detector, or train one with dinov3-det train`,
  );
}

/** Says so where the model cannot give as many detections as are asked for. */
export function warnOfCut({ config, classes }: Detector, maxDetections: number | undefined): void {
  const maps = countMaps(config.defaultBoxes);
  const notice = noticeOfCut(maxDetections ?? 0, config.postprocess, { classes: classes.length, maps });
  if (notice !== undefined) console.error(`Warning: ${notice}`);
}
